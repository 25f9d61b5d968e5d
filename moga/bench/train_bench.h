// `moga bench train`: a whole train step of a video model with random weights, from the latents of a batch to the
// updated weights: forward and backward pass, clipped AdamW and what recomputation adds.
#pragma once

#include <string>
#include <vector>

#include "moga/bench/report.h"
#include "moga/model/layers/recompute.h"
#include "moga/train/video/config.h"

namespace moga {

struct TrainBenchConfig {
  TrainConfig train;  // model, storage of weights and moments, moving average
  VideoShape video;
  int64_t videos = 1;                     // per train step
  std::vector<RecomputeConfig> variants;  // one row each
  std::string trace;                      // the file for a trace of one more step, of the first rank; empty: none

  void validate() const;
};

// FLOP: those of the forward and backward pass (cost.h); what is recomputed is not counted, so the rate is that of
// useful work; on several ranks it is the mean over them, and seconds and memory are those of the largest. `videos` are
// those of all data ranks. Routers are given biases that fill their groups evenly, as training leaves them.
BenchReport bench_train(const TrainBenchConfig& config, const BenchSetup& setup);

}  // namespace moga
