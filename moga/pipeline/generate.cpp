// See generate.h. Each line of generate() is a stage; the stages are denoise.h, moga/model/codec.h and
// moga/data/video/video.h.
#include "moga/pipeline/generate.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"
#include "moga/parallel/agree.h"
#include "moga/pipeline/images.h"
#include "moga/pipeline/latents.h"
#include "moga/pipeline/script_request.h"

namespace moga {
namespace {

VideoRequest make_request(const Script& script, const Models& models, const GenerateOptions& options) {
  VideoRequest request = script_request(script, models);
  request.noise = options.noise;
  return request;
}

// All ranks must evaluate the same model on the same request. The weights of the text encoder, which rank 0 alone has,
// are left out.
void agree_on_run(const Models& models, const VideoRequest& request, const GenerateOptions& options) {
  const ProcessGroup& ranks = options.mesh.world();
  if (ranks.size() == 1) return;
  const auto identity = generation_identity(models, request, options.sampler, /*text_encoder=*/false);
  agree(ranks, {{"generation", identity.dump(1)}});
}

// UniPC's history ends with its newest estimate of the final latents.
at::Tensor newest_estimate(const SampleState& state) { return state.solver.empty() ? state.x : state.solver.back(); }

Continuation continuation(KeptState& kept, const GenerateWatch& watch, const VideoRequest& request,
                          const Models& models) {
  Continuation result = kept.continuation();
  if (!watch.on_step) return result;
  const std::vector<int64_t> shape = models.transformer->config().latent_shape(request.shape);
  result.on_step = [keep = result.on_step, &watch, shape, &models](const SampleState& state) {
    if (keep) keep(state);
    watch.on_step(newest_estimate(state).view(shape), *models.vae);
  };
  return result;
}

}  // namespace

void generate(const Script& script, Models&& models, const GenerateOptions& options, const FrameSink& sink) {
  Models own = std::move(models);
  script.validate(own.pixels_per_token());
  const VideoRequest request = make_request(script, own, options);
  const ProcessGroup& ranks = options.mesh.world();
  const bool first = ranks.rank() == 0;
  agree_on_run(own, request, options);
  KeptState kept(first ? options.keep : KeepConfig(), own, request, options.sampler);
  try {
    Conditions conditions{encode_prompts(own, {request}, options.sampler, ranks)};
    own.text_encoder = nullptr;
    encode_images(own, {request}, conditions, ranks);
    own.image_encoder = nullptr;
    const Strides pixels = own.vae->config().strides();
    Preview preview(options.preview, script.latent_shot_frames(own.pixels_per_token()),
                    static_cast<double>(script.fps) / static_cast<double>(pixels.frames));
    const DenoiseOptions denoising{.sampler = options.sampler,
                                   .continuation = continuation(kept, options.watch, request, own),
                                   .estimates = {options.preview.every,
                                                 [&](int64_t steps, const std::vector<at::Tensor>& latents) {
                                                   preview.show(steps, latents.front());
                                                 }},
                                   .mesh = options.mesh};
    const at::Tensor latent = denoise(own, {request}, std::exchange(conditions, {}), denoising).front();
    preview.finish();
    own.transformer = own.transformer_2 = nullptr;
    if (!first) return;
    if (!options.save_latents.empty()) save_latents(options.save_latents, latent);
    decode_frames(*own.vae, latent, sink);
  } catch (const Interrupted&) {
    kept.keep_last();
    throw;
  } catch (const FramesNotFinite&) {
    kept.keep_latents();
    throw;
  }
}

void decode_frames(Codec& codec, const at::Tensor& latent, const FrameSink& sink) {
  const at::NoGradGuard no_grad;
  const StopInside stop_inside;
  Progress progress("decode", codec.config().strides().pixel_frames(latent.size(1)), "frame");
  FramesToHost to_host(sink, codec.parameters().front().scalar_type());
  codec.decode(latent.unsqueeze(0), [&](const at::Tensor& frames) {
    to_host.add(frames[0]);
    progress.advance(frames.size(2));
  });
  to_host.finish();
}

std::filesystem::path sheet_path(const std::filesystem::path& video) {
  return std::filesystem::path(video).replace_extension(".png");
}

GeneratedFiles generate_files(const Script& script, Models&& models, const GenerateOptions& options,
                              const std::filesystem::path& path) {
  GeneratedFiles files{path, sheet_path(path)};
  const auto writer =
      make_video_writer(path, script.size[0], script.size[1], static_cast<double>(script.fps), options.tags);
  const Strides pixels = models.pixels_per_token();
  ContactSheet sheet(pixels.pixel_shot_frames(script.latent_shot_frames(pixels)));
  generate(script, std::move(models), options, [&](const at::Tensor& frames) {
    writer->write(frames);
    sheet.add(frames);
    files.frames += frames.size(0);
    if (options.watch.on_frames) options.watch.on_frames(frames);
  });
  const FolderLock lock(path.parent_path());  // so that video and sheet are of one run
  save_png(files.sheet, sheet.image(), options.tags);
  writer->finish();  // last: whoever finds the video finds its sheet, also after a kill
  remove_kept(options.keep);
  return files;
}

}  // namespace moga
