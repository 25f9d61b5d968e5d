// `moga bench model`: one evaluation of a whole video model with random weights and routers that fill their groups
// evenly, through the denoiser, as in a sampler step: with guidance, captions and negative prompts, on one rank or on a
// mesh guidance × sequence.
#pragma once

#include "moga/bench/report.h"
#include "moga/model/video_model.h"

namespace moga {

struct ModelBenchConfig {
  Cloned<VideoModelConfig> model;
  VideoShape video;
  bool guided = false;          // with captions and without, which is one sampler step
  bool full = false;            // measure full attention as well
  bool stream_weights = false;  // and MoGA with its blocks' weights streamed from host memory
  bool eight_bit = false;       // and MoGA with weights in 8 bits, with each of EightBitProducts

  void validate() const;
};

// FLOP: cost.h; on several ranks the mean over them. Ratio, when full attention is measured: its time divided by the
// row's.
BenchReport bench_model(const ModelBenchConfig& config, const BenchSetup& setup);

}  // namespace moga
