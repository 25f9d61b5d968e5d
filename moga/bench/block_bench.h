// `moga bench block`: one transformer block of Wan2.1 with random weights, with MoGA and with full attention, forward
// pass and training step.
#pragma once

#include "moga/bench/report.h"
#include "moga/model/video_model.h"
#include "moga/model/wan/block.h"
#include "moga/model/wan/transformer.h"

namespace moga {

// The config of a Wan transformer; throws for a model of another family.
const TransformerConfig& wan_config(const VideoModelConfig& model);

// The block of a Wan transformer with its attention in all layers; throws for a model of another family.
BlockConfig wan_block(const VideoModelConfig& model);

struct BlockBenchConfig {
  BlockConfig block;  // its moga.kind is set by the bench
  VideoShape video;
  int64_t text_tokens = 512;  // per shot
  bool full = true;           // measure full attention as well

  void validate() const;
};

// Rows: the plain block over cuDNN's dense attention (plain_block.h), our block with full attention, our block with
// MoGA. FLOP: cost.h. Ratio: the time of the plain block divided by that of the row.
BenchReport bench_block(const BlockBenchConfig& config, const BenchSetup& setup);

// A block with random weights on its device, norms, modulation and routers in float32 as load_transformer keeps them,
// and its inputs: one piece of work for `moga bench` and its tests.
struct BlockWork {
  BlockConfig config;
  Block block{nullptr};
  BlockInput input;
  LocalContext local;
  GlobalContext global;
  std::vector<int64_t> text_lengths;
  at::Tensor grad;  // of the output, [N, C]

  void forward();           // without gradients
  void forward_backward();  // gradients of x and of all weights
  void plain_forward();     // the same by plain_block
  void plain_forward_backward();
};
BlockWork make_block_work(const BlockConfig& config, const VideoShape& video, int64_t text_tokens, c10::Device device,
                          c10::ScalarType dtype);

}  // namespace moga
