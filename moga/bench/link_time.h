// A lower bound for the time that a train step on several ranks spends on sums and gathers: bytes / rate of the link.
//
//   none        gradients all-reduced after the backward pass      4 bytes · 2 (P−1)/P per trained parameter
//   optimizer   gradients reduce-scattered during the backward pass; weights gathered after the step
//   full        the same, and blocks gathered during both passes
//
// The exchange of rows inside attention is not counted.
#pragma once

#include "moga/train/video/config.h"

namespace moga {

struct LinkTime {
  double hidden = 0, exposed = 0;  // seconds per train step: while blocks compute, and in addition to them
};

// `pieces`: per train step; gradients of each are summed where the state is sharded.
LinkTime link_time(const TrainConfig& config, int64_t pieces, int64_t ranks, c10::Device device);

}  // namespace moga
