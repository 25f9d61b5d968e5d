// The loop's settings, and the keys that the configs of all tasks have for them.
#pragma once

#include "moga/core/device.h"
#include "moga/parallel/process_group.h"

namespace moga {

struct LoopConfig {
  std::filesystem::path out;
  at::Device device = at::Device(at::kCPU);
  double max_minutes = 0;  // of training over all resumed runs; 0: no limit
  int64_t log_every = 20;
  int64_t checkpoint_every = 1000;
  int64_t keep_checkpoints = 2;
  int64_t sample_every = 0;    // 0: no samples
  int64_t held_out_every = 0;  // 0: no evaluation on held-out data
  ProcessGroup ranks = {};     // that train together
};

// TaskConfig: TrainConfig, VaeTrainConfig, TextTrainConfig.
template <class TaskConfig>
LoopConfig loop_config_of(const TaskConfig& config, int64_t sample_every, const ProcessGroup& ranks = {}) {
  return {.out = config.out,
          .device = parse_device(config.device),
          .max_minutes = config.max_minutes,
          .log_every = config.log_every,
          .checkpoint_every = config.checkpoint_every,
          .keep_checkpoints = config.keep_checkpoints,
          .sample_every = sample_every,
          .ranks = ranks};
}

}  // namespace moga
