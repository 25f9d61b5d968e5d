// The device of a rank: on a machine with several GPUs the local rank is the GPU's number.
#pragma once

#include <c10/core/Device.h>

#include <string>

#include "moga/parallel/rank_environment.h"

namespace moga {

// `name` as in parse_device (core/device.h). One process: that device. Several ranks: "auto" and "cuda" mean the rank's
// own GPU, or the only one it sees (srun --gpus-per-task); "cpu" is the CPU; "cuda:1" is an error. A GPU also becomes
// this thread's current device.
c10::Device rank_device(const RankEnvironment& environment, const std::string& name);

}  // namespace moga
