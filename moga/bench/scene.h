// Shared by the rehearsals: memory accounting, cost limits, and the random state, which they leave unchanged. Private
// to the folder.
#pragma once

#include <ATen/core/Generator.h>

#include "moga/attention/layout.h"
#include "moga/bench/rehearsal.h"

namespace moga {

// Counts memory beyond what the device holds at construction.
class Scene {
 public:
  explicit Scene(c10::Device device) : meter_(device), before_(meter_.current()) {}
  // Call once the weights are allocated, and nothing else is.
  void begin() {
    result_.weight_bytes = meter_.current() - before_;
    meter_.reset_peak();
  }
  Rehearsed end(double seconds) {
    result_.work_bytes = meter_.peak() - before_ - result_.weight_bytes;
    result_.seconds = seconds;
    return result_;
  }

 private:
  MemoryMeter meter_;
  int64_t before_;
  Rehearsed result_;
};

// Restores the default generators at the end, so that a run draws the same numbers whether or not it was planned.
class RandomState {
 public:
  explicit RandomState(c10::Device device);
  ~RandomState();
  RandomState(const RandomState&) = delete;
  RandomState& operator=(const RandomState&) = delete;

 private:
  std::vector<std::pair<at::Generator, at::Tensor>> states_;
};

// A rehearsed step takes a second or two on a CPU, some seconds on a GPU.
RehearsalLimits rehearsal_limits(c10::Device device, FrameSize least);

VideoShape resized(VideoShape video, FrameSize frame);

}  // namespace moga
