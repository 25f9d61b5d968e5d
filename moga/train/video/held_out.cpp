// See held_out.h.
#include "moga/train/video/held_out.h"

#include <ATen/ATen.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "moga/core/format.h"
#include "moga/core/random.h"

namespace moga {
namespace {

constexpr double kGolden = 0.6180339887498949;  // multiples of it fill (0, 1) evenly

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

HeldOut::HeldOut(const TrainConfig& config, TrainData data)
    : config_(config.held_out), flow_(config.flow), data_(std::move(data)) {}

double HeldOut::time_of(int64_t triple) const {
  const auto video = static_cast<double>(triple / config_.times), part = static_cast<double>(triple % config_.times);
  const double offset = std::fmod(0.5 + video * kGolden, 1.0);
  return time_at(flow_, (part + offset) / static_cast<double>(config_.times));
}

at::Tensor HeldOut::loss_of(TrainState& state, int64_t triple) const {
  const TrainBatch batch = data_.batch({{.index = triple / config_.times}});
  // Drawn on the host: the same numbers on every device.
  const at::Tensor noise =
      at::randn(batch.latents.values.sizes(), random_stream(config_.seed, "held-out noise", triple),
                at::TensorOptions(at::kFloat));
  const VelocityModel model = [&](VideoModelInput x) {
    x.sequence = state.mesh().sequence();
    return state.models().transformer->forward(x, state.dtype());
  };
  return flow_loss(model, {.latents = batch.latents,
                           .noise = noise.to(state.device()),
                           .times = at::full({1}, time_of(triple), at::kFloat).to(state.device()),
                           .text = state.encode_text(batch),
                           .layout = batch.layout,
                           .text_lengths = batch.text_lengths,
                           .condition = batch.condition,
                           .image = batch.image,
                           .given = batch.given})
      .flow;
}

nlohmann::json HeldOut::measure(TrainState& state) const {
  const at::NoGradGuard no_grad;
  const auto begin = std::chrono::steady_clock::now();
  std::optional<AveragedWeights> averaged;
  if (config_.weights == HeldOutWeights::kAverage) averaged.emplace(state);
  const ProcessGroup& data = state.mesh().data();
  const int64_t triples = data_.size() * config_.times;
  const at::Tensor losses = at::zeros({triples}, at::device(state.device()).dtype(at::kDouble));
  // All ranks make the same number of forward passes, because some gather weights for each.
  for (int64_t first = 0; first < triples; first += data.size()) {
    const int64_t triple = first + data.rank();
    const at::Tensor loss = loss_of(state, std::min(triple, triples - 1));
    if (triple < triples) losses[triple].copy_(loss);
  }
  data.all_reduce(losses);  // of each one rank has the number and the others zero
  const at::Tensor host = losses.cpu();
  const double* loss = host.const_data_ptr<double>();
  nlohmann::json by_time = nlohmann::json::object();
  double sum = 0;
  for (int64_t part = 0; part < config_.times; ++part) {
    double part_sum = 0, time = 0;
    for (int64_t triple = part; triple < triples; triple += config_.times) {
      part_sum += loss[triple];
      time += time_of(triple);
    }
    const auto videos = static_cast<double>(data_.size());
    by_time[formatted("%.4f", time / videos)] = part_sum / videos;
    sum += part_sum;
  }
  return {{"held_out_loss", sum / static_cast<double>(triples)},
          {"held_out_by_time", by_time},
          {"held_out_seconds", seconds_since(begin)}};
}

}  // namespace moga
