// See rehearsal.h.
#include "moga/bench/rehearsal.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "moga/bench/random_model.h"
#include "moga/bench/scene.h"
#include "moga/core/device.h"
#include "moga/core/interrupt.h"
#include "moga/core/random.h"
#include "moga/model/denoiser.h"
#include "moga/model/layers/linear.h"

namespace moga {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kCpuFlop = 1e11;
constexpr double kCudaFlop = 5e15;
constexpr int64_t kSolverSteps = 4;   // enough for UniPC to hold its full history
constexpr int64_t kLatentFrames = 4;  // more than one, because the first is cheaper than the others

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

int64_t on_line(double x, double x1, int64_t y1, double x2, int64_t y2) {
  return std::llround(static_cast<double>(y2) + (x - x2) * static_cast<double>(y2 - y1) / (x2 - x1));
}

// Empty if the device ran out of memory.
std::optional<Rehearsed> attempt(const std::function<Rehearsed()>& rehearse) {
  stop_if_interrupted();
  try {
    return rehearse();
  } catch (const c10::OutOfMemoryError&) {
    return std::nullopt;
  }
}

// The frame with both sides divided by `divisor`, but not smaller than `least`.
FrameSize divided(FrameSize frame, double divisor, FrameSize least) {
  const auto side = [divisor](int64_t length, int64_t least_length) {
    return std::clamp<int64_t>(std::llround(static_cast<double>(length) / divisor), std::min(least_length, length),
                               length);
  };
  return {side(frame.rows, least.rows), side(frame.columns, least.columns)};
}

}  // namespace

RandomState::RandomState(c10::Device device) {
  for (const c10::Device of : {c10::Device(c10::kCPU), device}) {
    const at::Generator generator = at::globalContext().defaultGenerator(of);
    states_.emplace_back(generator, generator.get_state());
  }
}

RandomState::~RandomState() {
  for (auto& [generator, state] : states_) generator.set_state(state);
}

RehearsalLimits rehearsal_limits(c10::Device device, FrameSize least) {
  return {device.is_cuda() ? kCudaFlop : kCpuFlop, least};
}

VideoShape resized(VideoShape video, FrameSize frame) {
  video.rows = frame.rows;
  video.columns = frame.columns;
  return video;
}

Rehearsed extended(const Rehearsed& one, const Rehearsed& two, int64_t more) {
  return {.weight_bytes = one.weight_bytes + more * (two.weight_bytes - one.weight_bytes),
          .work_bytes = one.work_bytes + more * std::max<int64_t>(0, two.work_bytes - one.work_bytes),
          .seconds = one.seconds + static_cast<double>(more) * std::max(0.0, two.seconds - one.seconds)};
}

Rehearsed over_layers(int64_t layers, const RehearseLayers& rehearse) {
  const Rehearsed one = rehearse(1);
  return layers == 1 ? one : extended(one, rehearse(2), layers - 1);
}

Rehearsed over_streamed_layers(int64_t layers, const RehearseLayers& rehearse) {
  if (layers <= 4) return rehearse(layers);
  const Rehearsed four = rehearse(4);
  return extended(four, rehearse(6), (layers - 3) / 2);
}

Rehearsed over_frames(FrameSize frame, const RehearsalLimits& limits, const std::function<double(FrameSize)>& flop,
                      const RehearseFrame& rehearse) {
  constexpr double kStep = 1.25;  // ratio of one size to the next smaller one
  double divisor = 1;
  FrameSize large = frame;
  std::optional<Rehearsed> at_large;
  while (!at_large) {
    const bool smallest = divided(large, kStep, limits.least).tokens() == large.tokens();
    if (smallest || flop(large) <= limits.flop) at_large = attempt([&] { return rehearse(large); });
    if (at_large) break;
    if (smallest) at_large = rehearse(large);  // the user should see its error
    divisor *= kStep;
    large = divided(frame, divisor, limits.least);
  }
  if (large.tokens() == frame.tokens()) return *at_large;
  const double more = static_cast<double>(frame.tokens()) / static_cast<double>(large.tokens());
  Rehearsed planned = *at_large;
  planned.seconds *= flop(frame) / flop(large);
  const FrameSize small = divided(large, 1.5, limits.least);
  // With no smaller frame to draw a line from, all bytes grow with the tokens.
  planned.work_bytes =
      small.tokens() == large.tokens()
          ? std::llround(more * static_cast<double>(at_large->work_bytes))
          : on_line(static_cast<double>(frame.tokens()), static_cast<double>(small.tokens()),
                    rehearse(small).work_bytes, static_cast<double>(large.tokens()), at_large->work_bytes);
  return planned;
}

Rehearsed rehearse_denoising(const DenoisingRehearsal& rehearsal, c10::Device device, c10::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  release_cached_memory(device);
  Scene scene(device);
  const VideoModelPtr model = random_video_model(*rehearsal.model, device, dtype);
  for (const auto& module : model->modules())
    if (auto* mlp = module->as<MlpImpl>())
      mlp->hidden_bytes = std::max<int64_t>(1, std::llround(rehearsal.share * static_cast<double>(mlp->hidden_bytes)));
  if (rehearsal.stream_weights) {
    even_routers(*model, rehearsal.video, device, dtype);
    stream_blocks(*model, device);
  }
  scene.begin();
  if (!rehearsal.stream_weights) even_routers(*model, rehearsal.video, device, dtype);
  const SamplerConfig sampler{
      .solver = rehearsal.solver, .steps = kSolverSteps, .guidance = rehearsal.guided ? 5.0 : 1.0};
  const int64_t shots = (rehearsal.guided ? 2 : 1) * rehearsal.video.shots();
  const Denoiser denoiser(*model,
                          {.videos = {rehearsal.video},
                           .text = random_text(*rehearsal.model, shots, device, dtype),
                           .condition = random_condition(*rehearsal.model, {rehearsal.video}, device),
                           .image = random_image_tokens(*rehearsal.model, rehearsal.video.shots(), device, dtype),
                           .guidance = sampler.guidance,
                           .dtype = dtype});
  const at::Tensor noise = random_tensor(denoiser.latent_shapes()[0], 1, device, at::kFloat).flatten();
  const Velocity velocity = [&](const at::Tensor& x, const SamplerStep& step) {
    return denoiser.evaluate(x, {.timestep = step.timestep}).velocity;
  };
  Clock::time_point last = Clock::now();
  std::vector<double> seconds;
  sample(velocity, noise, sampler, [&](int64_t, const at::Tensor&) {
    synchronize(device);
    seconds.push_back(seconds_since(last));
    last = Clock::now();
  });
  return scene.end(*std::min_element(seconds.begin() + 1, seconds.end()));
}

Rehearsed rehearse_text(const TextEncoderConfig& config, int64_t captions, int64_t text_len, c10::Device device,
                        c10::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  release_cached_memory(device);
  Scene scene(device);
  TextEncoder encoder = random_text_encoder(config, device, dtype);
  scene.begin();
  const at::Tensor ids = at::ones({captions, text_len}, at::TensorOptions(at::kLong).device(device));
  const at::Tensor lengths = at::full({captions}, text_len, ids.options());
  double seconds = 0;
  for (int i = device.is_cuda() ? 0 : 1; i < 2; ++i) {  // on a GPU the second time is warm
    const Clock::time_point start = Clock::now();
    const at::Tensor text = encoder->forward(ids, lengths, dtype);
    synchronize(device);
    seconds = seconds_since(start);
  }
  return scene.end(seconds);
}

Rehearsed rehearse_decoding(const CodecConfig& config, FrameSize frame, c10::Device device, c10::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  release_cached_memory(device);
  Scene scene(device);
  const CodecPtr codec = config.build();
  codec->to(device, dtype);
  if (device.is_cuda()) codec->store_channels_last();
  scene.begin();
  const at::Tensor latent =
      at::randn({1, config.latent_channels(), kLatentFrames, frame.rows, frame.columns},
                random_stream(0, "bench", 0, device), at::TensorOptions(at::kFloat).device(device));
  Clock::time_point last = Clock::now();
  double seconds = 0;
  codec->decode(latent, [&](const at::Tensor& frames) {
    const at::Tensor on_host = frames.to(at::kCPU);  // as a writer reads them
    seconds = seconds_since(last);
    last = Clock::now();
  });
  return scene.end(seconds);
}

}  // namespace moga
