// A script's way through the models: each line of generate() is a stage, and the stages' own files say how they work
// (denoise.h, moga/model/vae/vae.h, moga/data/video/video.h).
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

VideoRequest make_request(const Script& script, const GenerateOptions& options) {
  VideoRequest request;
  request.shape = video_shape(script.size[0], script.size[1], script.latent_shot_frames());
  request.captions = script.captions();
  request.negative_prompt = script.negative_prompt;
  request.seed = script.seed;
  request.noise = options.noise;
  return request;
}

// Frames on their way from a GPU to the sink. It gets them a chunk late: the GPU decodes the next while it writes them.
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
  std::optional<c10::Event> copied_;  // what is waiting
};

}  // namespace

void generate(const Script& script, Models& models, const GenerateOptions& options, const FrameSink& sink) {
  script.validate();
  const VideoRequest request = make_request(script, options);
  KeptState kept(options.keep, models, request, options.sampler);
  try {
    const at::Tensor latent = denoise(models, {request}, options.sampler, {}, kept.continuation()).front();
    if (!options.save_latents.empty()) save_latents(options.save_latents, latent);
    if (models.one_run) models.transformer = nullptr;
    decode_frames(models.vae, latent, sink);
  } catch (const Interrupted&) {
    kept.keep_last();
    throw;
  }
}

void decode_frames(Vae& vae, const at::Tensor& latent, const FrameSink& sink) {
  const at::NoGradGuard no_grad;
  const StopInside stop_inside;
  Progress progress("decode", pixel_frames(latent.size(1)), "frame");
  FramesToHost to_host(sink);
  vae->decode(latent.unsqueeze(0), [&](const at::Tensor& frames) {
    to_host.add(to_uint8(frames[0]));
    progress.advance(frames.size(2));
  });
  to_host.finish();
}

GeneratedFiles generate_files(const Script& script, Models& models, const GenerateOptions& options,
                              const std::filesystem::path& path) {
  GeneratedFiles files{path, std::filesystem::path(path).replace_extension(".png")};
  const auto writer = make_video_writer(path, script.size[0], script.size[1], static_cast<double>(script.fps));
  ContactSheet sheet(pixel_shot_frames(script.latent_shot_frames()));
  generate(script, models, options, [&](const at::Tensor& frames) {
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
