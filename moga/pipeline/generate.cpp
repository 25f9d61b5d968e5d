// A script's way through the models: each line of generate() is a stage, and the stages' own files say how they work
// (denoise.h, moga/model/vae/vae.h, moga/data/video/video.h).
#include "moga/pipeline/generate.h"

#include <ATen/ATen.h>

#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"
#include "moga/pipeline/latents.h"
#include "moga/pipeline/shot_captions.h"

namespace moga {
namespace {

VideoRequest make_request(const Script& script, const Models& models, const GenerateOptions& options) {
  VideoRequest request;
  request.shape = video_shape(script.size[0], script.size[1], script.latent_shot_frames());
  request.captions = shot_captions(script, models);
  request.negative_prompt = script.negative_prompt;
  request.seed = script.seed;
  request.noise = options.noise;
  return request;
}

}  // namespace

void generate(const Script& script, Models& models, const GenerateOptions& options, const FrameSink& sink) {
  script.validate();
  const VideoRequest request = make_request(script, models, options);
  KeptState kept(options.keep, models, request, options.sampler);
  try {
    const at::Tensor latent = denoise(models, {request}, options.sampler, {}, kept.continuation()).front();
    if (!options.save_latents.empty()) save_latents(options.save_latents, latent);
    if (models.one_run) models.transformer = nullptr;
    decode_frames(models.vae, latent, sink);
  } catch (const Interrupted&) {
    kept.keep_last();
    throw;
  } catch (const FramesNotFinite&) {
    kept.keep_latents();
    throw;
  }
}

void decode_frames(Vae& vae, const at::Tensor& latent, const FrameSink& sink) {
  const at::NoGradGuard no_grad;
  const StopInside stop_inside;
  Progress progress("decode", pixel_frames(latent.size(1)), "frame");
  FramesToHost to_host(sink, vae->parameters().front().scalar_type());
  vae->decode(latent.unsqueeze(0), [&](const at::Tensor& frames) {
    to_host.add(frames[0]);
    progress.advance(frames.size(2));
  });
  to_host.finish();
}

std::filesystem::path sheet_path(const std::filesystem::path& video) {
  return std::filesystem::path(video).replace_extension(".png");
}

GeneratedFiles generate_files(const Script& script, Models& models, const GenerateOptions& options,
                              const std::filesystem::path& path) {
  GeneratedFiles files{path, sheet_path(path)};
  const auto writer =
      make_video_writer(path, script.size[0], script.size[1], static_cast<double>(script.fps), options.tags);
  ContactSheet sheet(pixel_shot_frames(script.latent_shot_frames()));
  generate(script, models, options, [&](const at::Tensor& frames) {
    writer->write(frames);
    sheet.add(frames);
    files.frames += frames.size(0);
  });
  const FolderLock lock(path.parent_path());  // so that video and sheet are of one run
  writer->finish();
  save_png(files.sheet, sheet.image(), options.tags);
  remove_kept(options.keep);
  return files;
}

}  // namespace moga
