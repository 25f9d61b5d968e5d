// Contact sheets of a run. See sample_grid.h.
#include "moga/train/video/sample_grid.h"

#include <ATen/ATen.h>

#include "moga/core/random.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"
#include "moga/sampler/solver.h"

namespace moga {
namespace {

// Every video once with its captions and once with the negative prompt, in one packed batch.
std::vector<Pick> guided_picks(int64_t videos) {
  std::vector<Pick> picks;
  for (const bool dropped : {false, true})
    for (int64_t i = 0; i < videos; ++i) picks.push_back({i, dropped});
  return picks;
}

at::Tensor flatten_videos(const std::vector<at::Tensor>& videos) {
  std::vector<at::Tensor> flat;
  for (const at::Tensor& video : videos) flat.push_back(video.reshape({-1}));
  return at::cat(flat);
}

}  // namespace

SampleGrid::SampleGrid(const TrainConfig& config, TrainData data, at::Device device)
    : config_(config), data_(std::move(data)), vae_(load_vae(config.vae, device, at::kFloat)) {}

void SampleGrid::draw(TrainState& state, const std::filesystem::path& prefix) {
  at::NoGradGuard no_grad;
  const EmaScope averaged(state.ema());
  const TrainBatch batch = data_.batch(guided_picks(data_.size()));
  const at::Tensor text = state.encode_text(batch);  // [2 S, text_len, text_dim]
  const int64_t videos = 2 * data_.size(), elements = batch.latents.values.numel() / 2;

  const SamplerConfig& sampler = config_.samples.sampler;
  const double full_until = flow_schedule(sampler)[std::min(sampler.full_steps, sampler.steps)];
  const VelocityPair pair = [&](const at::Tensor& x, double t) {  // x [E] float32
    const PackedLatents both = {at::cat({x, x}), batch.latents.shapes};
    const TransformerOutput output =
        state.models().transformer->forward({.latents = both.views(),
                                             .timestep = at::full({videos}, 1000 * t, x.options()),
                                             .text = text,
                                             .layout = batch.layout,
                                             .full_attention = t > full_until},
                                            state.dtype());
    const at::Tensor velocity = flatten_videos(output.velocity);
    return std::pair{velocity.narrow(0, 0, elements), velocity.narrow(0, elements, elements)};
  };
  const at::Tensor noise = at::randn({elements}, random_stream(config_.seed, "sample grid", 0, state.device()),
                                     batch.latents.values.options());
  const at::Tensor latents = sample(guided(pair, sampler.guidance), noise, sampler);

  PackedLatents drawn = {latents, batch.latents.shapes};
  drawn.shapes.resize(data_.size());
  const std::vector<at::Tensor> views = drawn.views();
  for (size_t i = 0; i < views.size(); ++i)
    save_sheet(views[i], batch.layout.videos[i], prefix.string() + "-" + std::to_string(i) + ".png");
}

void SampleGrid::save_sheet(const at::Tensor& latent, const VideoShape& shape, const std::filesystem::path& path) {
  ContactSheet sheet(pixel_shot_frames(shape.shot_frames.empty() ? std::vector{shape.frames} : shape.shot_frames),
                     config_.samples.columns);
  vae_->decode(latent.unsqueeze(0), [&](const at::Tensor& frames) {  // [1, 3, 1 or 4, Y, X]
    sheet.add(to_uint8(frames[0]).cpu());
  });
  save_png(path, sheet.image());
}

}  // namespace moga
