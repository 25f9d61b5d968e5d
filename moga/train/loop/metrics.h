// Sums of what the train steps report. They stay on the device and are read only when a log line is due: one transfer,
// the loop's only wait for the device. A skipped step counts as skipped and enters no mean.
#pragma once

#include <chrono>

#include "moga/train/loop/task.h"

namespace moga {

class Metrics {
 public:
  void add(const StepReport& report);
  int64_t steps() const { return steps_; }  // since the last line

  struct Line {
    nlohmann::json means;  // each value, "steps", "skipped", "step_seconds", "videos_per_second", …
    at::Tensor counts;     // float64 on the host, or undefined
  };
  // The line of the steps since the last one. Starts over.
  Line take();

  // Seconds spent on something else (a checkpoint, samples) since the last line: not part of the rates.
  void exclude(double seconds) { excluded_ += seconds; }

 private:
  struct Value {
    std::string name;
    int64_t numbers = 1;
    bool list = false;
  };
  std::vector<Value> values_;
  at::Tensor sums_;    // [numbers of all values + 1] float32; the last is the number of skipped steps
  at::Tensor counts_;  // int64
  std::vector<std::pair<std::string, int64_t>> throughput_;
  int64_t steps_ = 0;
  double excluded_ = 0;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace moga
