// What a run says about itself. Losses, norms and group counts are summed on the device, step by step, and read only
// when a log line is due: one transfer, the only wait for the device in the loop.
#pragma once

#include <nlohmann/json.hpp>

#include <chrono>

#include "moga/train/video/train_step.h"

namespace moga {

class Metrics {
 public:
  void add(const StepResult& result);

  // The means since the last call as one JSON object, and starts over: steps, loss, balance, gradient_norm, skipped,
  // groups (fraction of tokens a group, [layers][M]), imbalance (largest group over the mean, a layer),
  // videos_per_second, tokens_per_second, step_seconds.
  nlohmann::json take();

  // Seconds spent on something else (a checkpoint, a contact sheet) since the last call: not counted in the rates.
  void exclude(double seconds) { excluded_ += seconds; }

 private:
  at::Tensor scalars_;    // [4] float32: flow, balance, gradient norm, skipped, summed
  at::Tensor histogram_;  // [layers, M] int64
  int64_t steps_ = 0, videos_ = 0, tokens_ = 0;
  double excluded_ = 0;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace moga
