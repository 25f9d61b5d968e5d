// Rectified-flow loss. See flow_loss.h.
#include "moga/train/video/flow_loss.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "moga/core/check.h"
#include "moga/sampler/solver.h"

namespace moga {
namespace {

constexpr double kTimeScale = 1000;  // the model's timesteps run from 0 to 1000

// The time of each video's elements, [E].
at::Tensor times_of_elements(const at::Tensor& times, const std::vector<int64_t>& counts) {
  const int64_t videos = times.size(0);
  if (std::all_of(counts.begin(), counts.end(), [&](int64_t count) { return count == counts[0]; }))
    return times.unsqueeze(1).expand({videos, counts[0]}).reshape({-1});
  std::vector<at::Tensor> parts;
  for (int64_t video = 0; video < videos; ++video) parts.push_back(times.narrow(0, video, 1).expand({counts[video]}));
  return at::cat(parts);
}

// Puts `latents` (one per video, [z, frames, Y', X']; a number: everywhere) at the given frames of x [E].
void show_given(const PackedLatents& x, const std::vector<GivenLatents>& given) {
  const std::vector<at::Tensor> videos = x.views();
  for (size_t video = 0; video < given.size(); ++video) {
    const auto& [frames, latents] = given[video];
    if (!frames.empty()) videos[video].index_copy_(1, at::tensor(frames, at::kLong).to(x.values.device()), latents);
  }
}

// [E]: 1 where an element counts in the loss, 0 in given frames.
at::Tensor weights_of(const PackedLatents& latents, const std::vector<GivenLatents>& given) {
  const PackedLatents weights = {at::ones_like(latents.values), latents.shapes};
  std::vector<GivenLatents> nothing = given;
  for (GivenLatents& video : nothing)
    if (!video.frames.empty()) video.latents = at::zeros_like(video.latents);
  show_given(weights, nothing);
  return weights.values;
}

}  // namespace

void FlowConfig::validate() const {
  check(deviation > 0, "deviation is ", deviation, ", expected more than 0");
  check(shift > 0, "shift is ", shift, ", expected more than 0");
}

double time_at(const FlowConfig& config, double quantile) {
  double u = quantile;
  if (config.timesteps == Timesteps::kLogitNormal) {
    const double normal = at::special_ndtri(at::scalar_tensor(quantile, at::kDouble)).item<double>();
    u = 1 / (1 + std::exp(-(config.mean + config.deviation * normal)));
  }
  return shift_time(u, config.shift);
}

at::Tensor sample_times(const FlowConfig& config, int64_t videos, at::Generator generator) {
  const auto options = at::TensorOptions(at::kFloat).device(generator.device());
  const at::Tensor u = config.timesteps == Timesteps::kUniform
                           ? at::rand({videos}, generator, options)
                           : (at::randn({videos}, generator, options) * config.deviation + config.mean).sigmoid();
  return u * config.shift / (u * (config.shift - 1) + 1);
}

int64_t counted_elements(const PackedLatents& latents, const std::vector<GivenLatents>& given) {
  int64_t elements = latents.values.numel();
  for (const GivenLatents& video : given)
    if (!video.frames.empty()) elements -= video.latents.numel();
  return elements;
}

FlowLoss flow_loss(const VelocityModel& model, const FlowInput& input) {
  const at::Tensor& x0 = input.latents.values;
  const at::Tensor t = times_of_elements(input.times, input.latents.counts());  // [E]
  const PackedLatents noisy = {at::lerp(x0, input.noise, t), input.latents.shapes};
  show_given(noisy, input.given);
  std::vector<std::vector<int64_t>> given_frames;
  for (const GivenLatents& video : input.given) given_frames.push_back(video.frames);

  const VideoModelOutput output = model({.latents = noisy.views(),
                                         .timestep = input.times * kTimeScale,
                                         .text = input.text,
                                         .layout = input.layout,
                                         .condition = input.condition,
                                         .image = input.image,
                                         .given_frames = given_frames,
                                         .text_lengths = input.text_lengths});
  const at::Tensor velocity = PackedLatents::pack(output.velocity).values;  // [E] float32
  const at::Tensor target = input.noise - x0;
  at::Tensor flow;
  if (input.given.empty())
    flow = at::mse_loss(velocity, target);
  else
    flow = ((velocity - target).square() * weights_of(input.latents, input.given)).sum() /
           static_cast<double>(counted_elements(input.latents, input.given));
  return {.flow = flow,
          .balance = output.balance_loss,
          .group_histogram = output.group_histogram,
          .gate_sum = output.gate_sum};
}

}  // namespace moga
