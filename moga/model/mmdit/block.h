// One block of the MMDiT: a stream of video tokens and a stream of text tokens, each with weights and modulation of its
// own. e = the video stream's modulation + the timestep's, nine vectors; t = the text stream's, six:
//
//   x += e₂ · o(visual_attention(rope(q y), rope(k y), v y))                      y = norm(x)(1 + e₁) + e₀
//   x += e₅ · o(a), c += t₂ · o'(b)   (a, b) = joint attention of rope(q y), q' z  y = norm(x)(1 + e₄) + e₃
//                                                                                  z = norm(c)(1 + t₁) + t₀
//   x += e₈ · ffn(y)                                                               y = norm(x)(1 + e₇) + e₆
//   c += t₅ · ffn'(z)                                                              z = norm(c)(1 + t₄) + t₃
//
// Queries and keys are normalised in both attentions and streams; only video tokens have positions. Joint attention is
// attention/joint_groups.h. In the last block the text stream gives keys and values alone: nothing reads it afterwards.
//
// x [N, C] holds the packed tokens of all videos, c [T, C] the text tokens of all their shots. forward is a pure
// function of its inputs and contexts, so that a backward pass can recompute it (layers/recompute.h).
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "moga/attention/joint_groups.h"
#include "moga/model/layers/linear.h"
#include "moga/model/layers/norm.h"
#include "moga/model/layers/projections.h"
#include "moga/model/layers/self_attention.h"

namespace moga {

inline constexpr int64_t kVideoVectors = 9, kTextVectors = 6;  // of the modulations
inline constexpr int64_t kLastTextVectors = 2;                 // those that the last block uses

struct MmditBlockConfig {
  int64_t heads = 12;      // H
  int64_t head_dim = 128;  // D
  int64_t ffn_dim = 6144;
  double eps = 1e-6;
  int64_t layer = 0;
  bool last = false;
  VisualAttentionConfig moga;

  int64_t width() const { return heads * head_dim; }
  ProjectionsConfig projections() const { return {.width = width(), .heads = heads, .eps = eps}; }
};

// The tensors that a block is differentiated by. All blocks share the modulations.
struct MmditBlockInput {
  at::Tensor x;                // [N, C]
  at::Tensor text;             // [T, C]
  at::Tensor modulation;       // [B, 9, C] float32, of the timestep
  at::Tensor text_modulation;  // [B, 6, C]
};

struct MmditContext {
  Segments segments, text_segments;  // rows of x, and of the text, of each video
  at::Tensor rotary;                 // [N, D/2] complex, see rope.h
  JointGroups joint;
  GlobalContext global;
};

struct MmditBlockOutput {
  BlockOutput video;
  at::Tensor text;  // [T, C]; undefined in the last block
};

class TextStreamImpl : public torch::nn::Module {
 public:
  explicit TextStreamImpl(const MmditBlockConfig& config);
  void initialise();

  at::Tensor modulation;  // [1, 6, C], in the last block [1, 2, C]
  Projections cross_attn{nullptr};
  Mlp ffn{nullptr};  // empty in the last block
};
TORCH_MODULE(TextStream);

class MmditBlockImpl : public torch::nn::Module {
 public:
  explicit MmditBlockImpl(const MmditBlockConfig& config);
  MmditBlockOutput forward(const MmditBlockInput& input, const MmditContext& context, const BlockRun& run = {});
  void initialise();
  void initialise_router();

 private:
  // Of the streams' normed rows → before their gated residuals; text undefined in the last block.
  VideoAndText attend_jointly(const VideoAndText& y, const MmditContext& context, const BlockRun& run);

  double eps_;
  bool last_;
  AttentionBackend backend_;
  at::Tensor modulation_;  // [1, 9, C]
  SelfAttention self_attn_{nullptr};
  Projections cross_attn_{nullptr};
  Mlp ffn_{nullptr};
  TextStream text_{nullptr};
};
TORCH_MODULE(MmditBlock);

}  // namespace moga
