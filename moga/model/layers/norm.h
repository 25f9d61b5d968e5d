// The elementwise arithmetic between a block's products: norms and the gated residual.
//
//   scaled_norm     y = LayerNorm(x) · weight_b + bias_b        (adaptive norm: weight = 1 + scale, bias = shift)
//   gated_residual  y = x + branch · gate_b
//   residual_norm   both, the second read by the first: x and its norm for the branch that comes next
//   QkNorm          y = turn(x / √(mean x² + eps) · weight)     (over all heads; the turn is rope.h's)
//
// They compute in float32 whatever the dtype of x and save nothing wider than x for the backward. Weights of a video's
// own need no index tensors: videos of equal size that follow one another are one broadcast. On CUDA in bfloat16 each
// is one kernel forward and one backward (norm_cuda.h).
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <vector>

#include "moga/attention/layout.h"

namespace moga {

// A packed batch as Layout::equal_videos() gives it: runs of videos of equal size.
using Spans = std::vector<EqualVideos>;

// x [N, C]; weight, bias [B, C] in float32, one row a video of `spans` → [N, C] in x's dtype.
at::Tensor scaled_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const Spans& spans,
                       double eps);

// x, branch [N, C]; gate [B, C] float32 → [N, C] in x's dtype.
at::Tensor gated_residual(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& gate, const Spans& spans);

// What a block has come to: x + branch · gate_b. Without a branch x, without a gate x + branch.
struct Residual {
  at::Tensor x;            // [N, C]
  at::Tensor branch = {};  // [N, C], or undefined
  at::Tensor gate = {};    // [B, C] float32, or undefined
};

// The residual's sum [N, C] and its scaled_norm [N, C], in x's dtype. On CUDA, in bfloat16, a row is read and written
// once, and in the backward as well: what other readers of the sum say about it is added where the norm's gradient is
// written. So they have to read it here, even where it is the x that was given.
struct Normed {
  at::Tensor x, y;
};
Normed residual_norm(const Residual& residual, const at::Tensor& weight, const at::Tensor& bias, const Spans& spans,
                     double eps);

class QkNormImpl : public torch::nn::Module {
 public:
  QkNormImpl(int64_t width, double eps);
  // x [rows, C] → [rows, H, D]; turned by `rotary` [rows, D/2] unless it is undefined (text attention).
  at::Tensor forward(const at::Tensor& x, const at::Tensor& rotary, int64_t heads);
  void initialise();

  at::Tensor weight;  // [C]

 private:
  double eps_;
};
TORCH_MODULE(QkNorm);

class AffineNormImpl : public torch::nn::Module {
 public:
  AffineNormImpl(int64_t width, double eps);
  Normed forward(const Residual& residual, const Spans& spans);  // the sum and its norm
  void initialise();

  at::Tensor weight, bias;  // [C]

 private:
  double eps_;
};
TORCH_MODULE(AffineNorm);

}  // namespace moga
