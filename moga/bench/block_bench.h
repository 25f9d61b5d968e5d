// `moga bench block`: one transformer block with random weights, with MoGA and with full attention, forward pass and
// training step.
#pragma once

#include "moga/bench/report.h"
#include "moga/model/video_model.h"

namespace moga {

struct BlockBenchConfig {
  Cloned<VideoModelConfig> model;  // the kind of its attention is set by the bench
  VideoShape video;
  bool full = true;  // measure full attention as well

  void validate() const;
};

// Rows: the plain block over cuDNN's dense attention (plain_block.h), our block with full attention, our block with
// MoGA. FLOP: cost.h. Ratio: the time of the plain block divided by that of the row.
BenchReport bench_block(const BlockBenchConfig& config, const BenchSetup& setup);

}  // namespace moga
