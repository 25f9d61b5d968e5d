// What rehearsals share: how memory is counted around them, what they may cost, and the random numbers that they leave
// as they were. Private to the folder.
#pragma once

#include <ATen/core/Generator.h>

#include "moga/attention/layout.h"
#include "moga/bench/rehearsal.h"

namespace moga {

// Counts from what the device already holds.
class Scene {
 public:
  explicit Scene(c10::Device device) : meter_(device), before_(meter_.current()) {}
  // Call when the weights are there and nothing else is.
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

// The default generators as they were: a run that has been planned draws what it would have drawn.
class RandomState {
 public:
  explicit RandomState(c10::Device device);
  ~RandomState();
  RandomState(const RandomState&) = delete;
  RandomState& operator=(const RandomState&) = delete;

 private:
  std::vector<std::pair<at::Generator, at::Tensor>> states_;
};

// A second or two of a rehearsed step on a CPU, some seconds on a GPU.
RehearsalLimits rehearsal_limits(c10::Device device, FrameSize least);

VideoShape resized(VideoShape video, FrameSize frame);

}  // namespace moga
