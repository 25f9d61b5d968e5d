// See generate.h. Each line of generate() is a stage; the stages are denoise.h, moga/model/codec.h and
// moga/data/video/video.h.
#include "moga/pipeline/generate.h"

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"
#include "moga/pipeline/latents.h"

namespace moga {
namespace {

VideoRequest make_request(const Script& script, const Strides& pixels_per_token, const GenerateOptions& options) {
  VideoRequest request;
  request.shape =
      video_shape({script.size[0], script.size[1]}, script.latent_shot_frames(pixels_per_token), pixels_per_token);
  request.captions = script.captions();
  request.negative_prompt = script.negative_prompt;
  request.seed = script.seed;
  request.noise = options.noise;
  return request;
}

// Copies frames from a GPU to the sink, which gets each chunk one chunk later, while the GPU decodes the next.
class FramesToHost {
 public:
  explicit FramesToHost(const FrameSink& sink) : sink_(sink) {}

  void add(const at::Tensor& frames) {  // uint8 [T, 3, Y, X]
    if (frames.is_cpu()) return sink_(frames);
    const at::Tensor host = at::empty(frames.sizes(), at::TensorOptions(at::kByte).pinned_memory(true));
    host.copy_(frames, /*non_blocking=*/true);
    c10::Event copied(frames.device().type());
    copied.record(c10::impl::VirtualGuardImpl(frames.device().type()).getStream(frames.device()));
    finish();
    waiting_ = host;
    copied_.emplace(std::move(copied));
  }

  void finish() {
    if (!waiting_.defined()) return;
    copied_->synchronize();
    sink_(std::exchange(waiting_, {}));
  }

 private:
  const FrameSink& sink_;
  at::Tensor waiting_;
  std::optional<c10::Event> copied_;  // the copy into waiting_
};

}  // namespace

void generate(const Script& script, Models&& models, const GenerateOptions& options, const FrameSink& sink) {
  Models own = std::move(models);
  script.validate(own.pixels_per_token());
  const VideoRequest request = make_request(script, own.pixels_per_token(), options);
  KeptState kept(options.keep, own, request, options.sampler);
  try {
    at::Tensor text = encode_prompts(own, {request}, options.sampler);
    own.text_encoder = nullptr;
    const DenoiseOptions denoising{.sampler = options.sampler, .continuation = kept.continuation()};
    const at::Tensor latent = denoise(own, {request}, std::exchange(text, {}), denoising).front();
    own.transformer = nullptr;
    if (!options.save_latents.empty()) save_latents(options.save_latents, latent);
    decode_frames(*own.vae, latent, sink);
  } catch (const Interrupted&) {
    kept.keep_last();
    throw;
  }
}

void decode_frames(Codec& codec, const at::Tensor& latent, const FrameSink& sink) {
  const at::NoGradGuard no_grad;
  const StopInside stop_inside;
  Progress progress("decode", codec.config().strides().pixel_frames(latent.size(1)), "frame");
  FramesToHost to_host(sink);
  codec.decode(latent.unsqueeze(0), [&](const at::Tensor& frames) {
    to_host.add(to_uint8(frames[0]));
    progress.advance(frames.size(2));
  });
  to_host.finish();
}

GeneratedFiles generate_files(const Script& script, Models&& models, const GenerateOptions& options,
                              const std::filesystem::path& path) {
  GeneratedFiles files{path, std::filesystem::path(path).replace_extension(".png")};
  const auto writer = make_video_writer(path, script.size[0], script.size[1], static_cast<double>(script.fps));
  const Strides pixels = models.pixels_per_token();
  ContactSheet sheet(pixels.pixel_shot_frames(script.latent_shot_frames(pixels)));
  generate(script, std::move(models), options, [&](const at::Tensor& frames) {
    writer->write(frames);
    sheet.add(frames);
    files.frames += frames.size(0);
  });
  writer->finish();
  save_png(files.sheet, sheet.image());
  remove_kept(options.keep);
  return files;
}

}  // namespace moga
