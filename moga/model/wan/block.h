// One block of Wan2.1's transformer, with MoGA as its self-attention. e = the block's modulation + the timestep's, six
// vectors each:
//
//   x += e₂ · o(visual_attention(rope(norm_q(q y)), rope(norm_k(k y)), v y))   y = norm1(x)(1 + e₁) + e₀
//   x += o(attend(norm_q(q y), norm_k(k text), v text))                        y = norm3(x), text of the token's shot
//          in models of images: o(… + attend(norm_q(q y), norm_k_img(k_img image), v_img image))
//   x += e₅ · ffn(y)                                                           y = norm2(x)(1 + e₄) + e₃
//
// x [N, C] holds the packed tokens of all videos, or the slice of them that a rank holds: then self-attention exchanges
// rows with the other ranks and everything else is local. forward is a pure function of its inputs and contexts, so
// that a backward pass can recompute it (layers/recompute.h). Where the block's weights come from is not its concern.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "moga/attention/visual_attention.h"
#include "moga/model/layers/linear.h"
#include "moga/model/layers/norm.h"
#include "moga/model/layers/projections.h"
#include "moga/model/layers/recompute.h"
#include "moga/model/layers/self_attention.h"

namespace moga {

struct BlockConfig {
  int64_t heads = 12;      // H
  int64_t head_dim = 128;  // D
  int64_t ffn_dim = 8960;
  bool cross_attn_norm = true;
  bool qk_norm = true;
  bool image = false;  // cross-attention to embeddings of images, added to that of the text
  double eps = 1e-6;
  int64_t layer = 0;  // number of the block, passed to an observer
  VisualAttentionConfig moga;

  int64_t width() const { return heads * head_dim; }
  ProjectionsConfig projections() const { return {.width = width(), .heads = heads, .qk_norm = qk_norm, .eps = eps}; }
};

// The tensors that a block is differentiated by. All blocks share modulation and text.
struct BlockInput {
  at::Tensor x;           // [N, C]
  at::Tensor modulation;  // [V, 6, C] float32, of the timestep: one per video, or several (Segments)
  at::Tensor text;        // [text tokens of all shots, C] in the compute dtype
  at::Tensor image = {};  // [image tokens of all shots, C], likewise; undefined where no shot has an image
};

// What describes the rows of x: all tokens, or the slice that a rank holds.
struct LocalContext {
  Segments segments;           // vectors of the modulation for the rows
  at::Tensor rotary;           // [N, D/2] complex, see rope.h
  Grouping text_groups;        // rows of x that see each shot's text tokens
  Grouping image_groups = {};  // and its image tokens, where there are any
};

class CrossAttentionImpl : public ProjectionsImpl {
 public:
  explicit CrossAttentionImpl(const BlockConfig& config);
  // `image` as BlockInput::image.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& text, const at::Tensor& image, const LocalContext& local);
  void initialise();

 private:
  AttentionBackend backend_;
  Linear k_img_{nullptr}, v_img_{nullptr};  // empty without images
  QkNorm norm_k_img_{nullptr};
};
TORCH_MODULE(CrossAttention);

class BlockImpl : public torch::nn::Module {
 public:
  explicit BlockImpl(const BlockConfig& config);
  BlockOutput forward(const BlockInput& input, const LocalContext& local, const GlobalContext& global,
                      const BlockRun& run = {});
  void initialise();
  void initialise_router();

 private:
  double eps_;
  at::Tensor modulation_;  // [1, 6, C]
  SelfAttention self_attn_{nullptr};
  CrossAttention cross_attn_{nullptr};
  AffineNorm norm3_{nullptr};  // empty without cross_attn_norm
  Mlp ffn_{nullptr};
};
TORCH_MODULE(Block);

}  // namespace moga
