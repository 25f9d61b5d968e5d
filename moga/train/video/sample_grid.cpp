// See sample_grid.h.
#include "moga/train/video/sample_grid.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "moga/core/random.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"
#include "moga/model/denoiser.h"
#include "moga/model/registry.h"
#include "moga/sampler/solver.h"

namespace moga {
namespace {

// The image tokens of the first `shots` shots.
ImageTokens first_images(const ImageTokens& image, int64_t shots) {
  if (image.counts.empty()) return {};
  ImageTokens first{image.rows, {image.counts.begin(), image.counts.begin() + shots}};
  first.rows = image.rows.narrow(0, 0, std::accumulate(first.counts.begin(), first.counts.end(), int64_t{0}));
  return first;
}

// Those of the videos; the negative prompts see the same.
template <class Item>
std::vector<Item> first_of(const std::vector<Item>& items, size_t videos) {
  return {items.begin(), items.begin() + static_cast<int64_t>(std::min(videos, items.size()))};
}

// Every video once with its captions and, for guidance, once more with the negative prompt.
std::vector<Pick> picks_of(int64_t videos, bool guided) {
  std::vector<Pick> picks;
  for (const bool dropped : {false, true})
    for (int64_t i = 0; i < videos && (guided || !dropped); ++i) picks.push_back({i, dropped});
  return picks;
}

}  // namespace

SampleGrid::SampleGrid(const TrainConfig& config, TrainData data, at::Device device)
    : config_(config), data_(std::move(data)), vae_(load_codec(config.vae, device, at::kFloat)) {}

void SampleGrid::draw(TrainState& state, const std::filesystem::path& prefix) {
  at::NoGradGuard no_grad;
  const AveragedWeights averaged(state);
  const bool writes = state.mesh().world().rank() == 0, gathers = state.gathers_blocks();
  if (!writes && !gathers) return;
  const SamplerConfig& sampler = config_.samples.sampler;
  const TrainBatch batch = data_.batch(picks_of(data_.size(), sampler.guidance != 1.0));
  const std::vector<VideoShape>& all = batch.layout.videos;
  const std::vector<VideoShape> videos(all.begin(), all.begin() + data_.size());
  const Denoiser denoiser(*state.models().transformer, {.videos = videos,
                                                        .text = state.encode_text(batch),
                                                        .condition = first_of(batch.condition, videos.size()),
                                                        .image = first_images(batch.image, Layout{videos}.shots()),
                                                        .given = first_of(batch.given, videos.size()),
                                                        .guidance = sampler.guidance,
                                                        .dtype = state.dtype(),
                                                        .text_lengths = batch.text_lengths});
  const Velocity velocity = [&](const at::Tensor& x, const SamplerStep& step) {
    return denoiser.evaluate(x, {.timestep = step.timestep, .full_attention = step.full_attention}).velocity;
  };
  PackedLatents drawn = {{}, denoiser.latent_shapes()};
  int64_t elements = 0;
  for (const int64_t count : drawn.counts()) elements += count;
  const at::Tensor noise = at::randn({elements}, random_stream(config_.seed, "sample grid", 0, state.device()),
                                     batch.latents.values.options());
  drawn.values = denoiser.with_given(sample(velocity, noise, sampler));
  if (!writes) return;
  const std::vector<at::Tensor> views = drawn.views();
  for (size_t i = 0; i < views.size(); ++i)
    save_sheet(views[i], videos[i], prefix.string() + "-" + std::to_string(i) + ".png");
}

void SampleGrid::save_sheet(const at::Tensor& latent, const VideoShape& shape, const std::filesystem::path& path) {
  const std::vector<int64_t> shots = shape.shot_frames.empty() ? std::vector{shape.frames} : shape.shot_frames;
  ContactSheet sheet(vae_->config().strides().pixel_shot_frames(shots), config_.samples.columns);
  vae_->decode(latent.unsqueeze(0), [&](const at::Tensor& frames) {  // [1, 3, T, Y, X]
    sheet.add(to_uint8(frames[0]).cpu());
  });
  save_png(path, sheet.image());
}

}  // namespace moga
