// `moga bench model`: one evaluation of a whole transformer with random weights and routers
// that fill their groups evenly, as a sampler step does it.
#pragma once

#include "moga/bench/report.h"
#include "moga/model/wan/transformer.h"

namespace moga {

struct ModelBenchConfig {
  TransformerConfig model;
  VideoShape video;
  bool full = false;            // measure full attention as well
  bool stream_weights = false;  // and MoGA with its blocks' weights streamed from the host

  void validate() const;
};

// FLOP: cost.h. Ratio, when full attention is measured: its time over the row's.
BenchReport bench_model(const ModelBenchConfig& config, const BenchSetup& setup);

}  // namespace moga
