// Turns running out of memory into one line for a person: where, how much the device has, what was planned, and which
// settings need less. The allocator's own text of several lines never reaches the user.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <string>

#include "moga/train/loop/run.h"

namespace moga {

struct MemoryHelp {
  c10::Device device;
  std::string planned;  // "planned 31.2 GiB", or empty
  std::string advice;   // "stage.0.accumulation=4, cache=host": what needs less, or empty
};

// Calls train(). Throws Error in the place of c10::OutOfMemoryError, std::bad_alloc and the CPU allocator's error.
TrainEnd explain_out_of_memory(const MemoryHelp& help, const std::function<TrainEnd()>& train);

}  // namespace moga
