// See train_bench.h.
#include "moga/bench/train_bench.h"

#include <ATen/ATen.h>

#include "moga/bench/random_model.h"
#include "moga/bench/random_piece.h"
#include "moga/bench/random_train_models.h"
#include "moga/bench/trace.h"
#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/train/video/train_step.h"

namespace moga {
namespace {

// The whole step with the optimiser's arithmetic, but routers and weights stay as they are: tokens of a random model
// are so alike that a few updates would route most of them to one group.
constexpr double kLearningRate = 0;

nlohmann::ordered_json sizes_of(const TrainBenchConfig& config) {
  const VideoShape& video = config.video;
  const ModelShape shape = config.train.transformer->shape();
  const VisualAttentionConfig& moga = config.train.transformer->attention();
  return {{"tokens", video.tokens()},
          {"frames", video.frames},
          {"rows", video.rows},
          {"columns", video.columns},
          {"shots", video.shots()},
          {"videos", config.videos},
          {"layers", shape.layers},
          {"heads", shape.heads},
          {"head_dim", shape.head_dim},
          {"ffn", shape.ffn},
          {"attention", name_of(moga.kind)},
          {"groups", moga.groups},
          {"windows", std::to_string(moga.windows.rows) + "x" + std::to_string(moga.windows.columns)},
          {"run_frames", moga.windows.run_frames},
          {"weights", name_of(config.train.weights)},
          {"moments", name_of(config.train.optimizer.moments)},
          {"ema", config.train.ema},
          {"lora_rank", config.train.lora.rank},
          {"shard", name_of(config.train.parallel.shard)}};
}

std::string name_of_row(const RecomputeConfig& variant, Shard shard, const Mesh& mesh) {
  const std::string name = "recompute " + describe(variant);
  if (mesh.world().size() == 1) return name;
  return name + ", data " + std::to_string(mesh.data().size()) + " x sequence " +
         std::to_string(mesh.sequence().size()) + ", shard " + name_of(shard);
}

// All steps at the time t = 1/2, for which the routers are evened: with random weights, tokens of other times are
// routed to other groups.
const FlowConfig kFlow = {.timesteps = Timesteps::kLogitNormal, .mean = 0, .deviation = 1e-9, .shift = 1};
constexpr double kTime = 0.5;

// What the model sees in a train step on this video.
VideoModelInput noisy_input(const TrainConfig& config, const VideoShape& video, const BenchSetup& setup) {
  const TrainBatch batch = random_piece({config, video, 1}, setup.device, setup.dtype);
  const at::Tensor noise = random_tensor(batch.latents.values.sizes(), 1, setup.device, at::kFloat);
  const PackedLatents noisy = {at::lerp(batch.latents.values, noise, kTime), batch.latents.shapes};
  return {.latents = noisy.views(),
          .timestep = at::full({1}, 1000 * kTime, noise.options()),
          .text = batch.text,
          .layout = batch.layout};
}

// Routed attention costs M Σ f² times what even groups cost, f: each group's fraction of the tokens.
void log_evenness(const std::string& when, const at::Tensor& histogram) {
  if (!histogram.defined()) return;
  const at::Tensor counts = histogram.to(at::kDouble), fraction = counts / counts.sum(1, true);
  const double cost = (fraction.square().sum(1) * counts.size(1)).mean().item<double>();
  log_info(when, ": routed attention costs ", cost, " times that of even groups");
}

}  // namespace

void TrainBenchConfig::validate() const {
  train.transformer->validate();
  train.optimizer.validate();
  video.validate();
  check(videos > 0, "videos is ", videos, ", expected at least 1");
  for (const RecomputeConfig& variant : variants) variant.validate();
}

BenchReport bench_train(const TrainBenchConfig& config, const BenchSetup& setup) {
  config.validate();
  const int64_t data_ranks = setup.mesh.data().size();
  check(config.videos % data_ranks == 0, "videos is ", config.videos, ", expected a multiple of the ", data_ranks,
        " data ranks");
  Meter meter(setup.device, setup.meter, setup.mesh.world());
  BenchReport report{"train", device_name(setup.device), dtype_name(setup.dtype), sizes_of(config), {}, {}, {}};
  report.rates = measure_rates(meter, setup.dtype);
  TrainConfig train = config.train;
  train.flow = kFlow;
  TrainModels models = random_train_models(train, setup.device);
  log_evenness("routers evened",
               even_routers(*models.transformer, noisy_input(train, config.video, setup), setup.dtype));
  share_routers(*models.transformer, setup.mesh.world());
  TrainState state(train, std::move(models), setup.device, setup.dtype, setup.mesh);
  release_cached_memory(setup.device);
  const TrainBatch piece =
      random_piece({config.train, config.video, config.videos / data_ranks}, setup.device, setup.dtype);
  const ForwardCost cost =
      forward_cost(config.train.transformer->shape(), piece.layout, config.train.transformer->attention());
  const double flop = (config.train.lora.enabled() ? cost.with_frozen_backward() : cost.with_backward()) /
                      static_cast<double>(setup.mesh.sequence().size());
  int64_t step = 0;
  StepResult last;
  const auto train_step = [&] { last = state.train_step({.step = step++, .lr = kLearningRate, .pieces = {piece}}); };
  for (const RecomputeConfig& variant : config.variants) {
    stop_if_interrupted();
    log_info("measuring a train step, recomputation: ", describe(variant));
    state.models().transformer->set_recompute(variant);
    const Measurement measured = meter.measure(train_step);
    log_evenness("last step", last.group_histogram);
    release_cached_memory(setup.device);
    report.rows.push_back({name_of_row(variant, train.parallel.shard, setup.mesh),
                           name_of(config.train.transformer->attention().backend),
                           "train step",
                           measured,
                           flop,
                           {}});
  }
  if (config.trace.empty()) return report;
  if (setup.mesh.world().rank() == 0)
    write_trace(config.trace, setup.device, train_step);
  else
    train_step();  // ranks exchange rows
  return report;
}

}  // namespace moga
