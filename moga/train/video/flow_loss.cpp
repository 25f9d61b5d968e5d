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

FlowLoss flow_loss(const VelocityModel& model, const FlowInput& input) {
  const at::Tensor& x0 = input.latents.values;
  const at::Tensor t = times_of_elements(input.times, input.latents.counts());  // [E]
  const PackedLatents noisy = {at::lerp(x0, input.noise, t), input.latents.shapes};

  const VideoModelOutput output = model({.latents = noisy.views(),
                                         .timestep = input.times * kTimeScale,
                                         .text = input.text,
                                         .layout = input.layout,
                                         .text_lengths = input.text_lengths});
  const at::Tensor velocity = PackedLatents::pack(output.velocity).values;  // [E] float32
  return {.flow = at::mse_loss(velocity, input.noise - x0),
          .balance = output.balance_loss,
          .group_histogram = output.group_histogram,
          .gate_sum = output.gate_sum};
}

}  // namespace moga
