// How long the sums and gathers of a train step take on several ranks at least: bytes over the rate of the link.
//
//   none        gradients all-reduced after the backward pass      4 bytes · 2 (P−1)/P per trained parameter
//   optimizer   reduce-scatter of gradients, hidden behind the backward pass, and a gather of the weights after the
//   step full        the same, with the gathers of blocks hidden behind the passes
//
// The exchange of rows inside attention is not in it.
#pragma once

#include "moga/train/video/config.h"

namespace moga {

struct LinkTime {
  double hidden = 0, exposed = 0;  // seconds per train step: while blocks compute, and in addition to them
};

// `pieces`: per train step; gradients of each are summed where the state is sharded.
LinkTime link_time(const TrainConfig& config, int64_t pieces, int64_t ranks, c10::Device device);

}  // namespace moga
