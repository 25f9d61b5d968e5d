// See train_bench.h.
#include "moga/bench/train_bench.h"

#include "moga/bench/random_model.h"
#include "moga/bench/random_piece.h"
#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/train/video/train_step.h"

namespace moga {
namespace {

constexpr double kLearningRate = 1e-5;

nlohmann::ordered_json sizes_of(const TrainBenchConfig& config) {
  const VideoShape& video = config.video;
  const ModelShape shape = config.train.transformer.shape();
  const VisualAttentionConfig& moga = config.train.transformer.moga;
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
          {"ema", config.train.ema}};
}

}  // namespace

void TrainBenchConfig::validate() const {
  train.transformer.validate();
  train.optimizer.validate();
  video.validate();
  check(videos > 0, "videos is ", videos, ", expected at least 1");
  for (const RecomputeConfig& variant : variants) variant.validate();
}

BenchReport bench_train(const TrainBenchConfig& config, const BenchSetup& setup) {
  config.validate();
  Meter meter(setup.device, setup.meter);
  BenchReport report{"train", device_name(setup.device), dtype_name(setup.dtype), sizes_of(config), {}, {}, {}};
  report.rates = measure_rates(meter, setup.dtype);
  TrainState state(config.train, setup.device, setup.dtype);
  state.models().transformer->fill_head();
  if (config.train.transformer.moga.uses_router())
    even_routers(*state.models().transformer, config.video, setup.device, setup.dtype);
  release_cached_memory(setup.device);
  const TrainBatch piece = random_piece({config.train, config.video, config.videos}, setup.device, setup.dtype);
  const double flop =
      forward_cost(config.train.transformer.shape(), piece.layout, config.train.transformer.moga).with_backward();
  int64_t step = 0;
  for (const RecomputeConfig& variant : config.variants) {
    stop_if_interrupted();
    log_info("measuring a train step, recomputation: ", describe(variant));
    state.models().transformer->set_recompute(variant);
    const Measurement measured =
        meter.measure([&] { state.train_step({.step = step++, .lr = kLearningRate, .pieces = {piece}}); });
    release_cached_memory(setup.device);
    report.rows.push_back({"recompute " + describe(variant),
                           name_of(config.train.transformer.moga.backend),
                           "train step",
                           measured,
                           flop,
                           {}});
  }
  return report;
}

}  // namespace moga
