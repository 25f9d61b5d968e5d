// Floating point operations of a forward pass, counted from shapes alone:
//
//   attention  4 · pairs · H · D per layer          linear layers  2 · parameters · rows
//
// Used by `moga flops`, the benchmarks and the planner. Elementwise work is not counted.
#pragma once

#include <optional>

#include "moga/attention/joint_groups.h"
#include "moga/attention/visual_attention.h"

namespace moga {

// Query-key pairs of each branch over the whole layout; routed groups are counted as balanced (N²/M per video).
struct PairCount {
  double full = 0, routed = 0, window = 0, frame = 0;
  double total = 0;  // of the branches the config uses
};
PairCount count_pairs(const Layout& layout, const VisualAttentionConfig& config);

// 1 - pairs / full pairs: 0.7125 for the check in docs/design.md, section 2 (boundary_frames = 0).
double sparsity(const Layout& layout, const VisualAttentionConfig& config);

// The sizes of a transformer that its cost depends on; the defaults are Wan2.1-1.3B.
struct ModelShape {
  int64_t layers = 30;
  int64_t heads = 12;      // H
  int64_t head_dim = 128;  // D; width C = H·D
  int64_t ffn = 8960;
  int64_t patch_in = 64;  // latent values per patch: C_z · 1 · 2 · 2
  int64_t patch_out = 64;
  int64_t text_tokens = 512;  // per shot
  int64_t text_dim = 4096;
  int64_t freq_dim = 256;
  int64_t image_tokens = 0;  // per shot, where blocks attend to embeddings of an image
  int64_t image_dim = 0;
  // Set: text is a stream of its own, with q, k, v, o and feed-forward weights like the video's, and blocks have joint
  // attention of both streams (joint_groups.h) instead of attention from video to text.
  std::optional<JointScope> joint = {};

  int64_t width() const { return heads * head_dim; }
};

// Floating point operations of one forward pass, a multiply-add being two.
struct ForwardCost {
  double full = 0, routed = 0, window = 0, frame = 0;  // 4 · pairs · H · D · layers; the branches the config uses
  // Text attention, 4 · tokens · (text_tokens + image_tokens) · H · D · layers; or joint attention, whose pairs include
  // those of video tokens with each other.
  double text = 0;
  double products = 0;  // 2 · parameters · rows of every linear layer: a row is a token, a text token or a video
  double visual() const { return full + routed + window + frame; }
  double total() const { return visual() + text + products; }
  // Forward and backward: a product has two gradients; attention's backward has five products, its forward two.
  double with_backward() const { return 3.5 * (visual() + text) + 3 * products; }
  // The same with frozen weights, whose gradients are not computed; without those of low-rank updates, a percent.
  double with_frozen_backward() const { return 3.5 * (visual() + text) + 2 * products; }
};

// Counted: all linear layers (q, k, v, o, router, text attention, ffn, patch, text and time embeddings, head) and the
// two products of each attention. Not counted: norms, rotary embedding, softmax and other element-wise work.
ForwardCost forward_cost(const ModelShape& model, const Layout& layout, const VisualAttentionConfig& config);

// One block: the products and attentions of one layer, without the embeddings and the head.
ForwardCost block_cost(const ModelShape& model, const Layout& layout, const VisualAttentionConfig& config);

}  // namespace moga
