// LayerNorm with modulation, and the gated residual: the elementwise arithmetic between a block's products.
//
//   scaled_norm     y = LayerNorm(x) · weight_s + bias_s        (adaptive norm: weight = 1 + scale, bias = shift)
//   gated_residual  y = x + branch · gate_s
//   residual_norm   the gated residual and its scaled_norm: x and its norm, the input of the next branch
//
// Row n of x uses the vector s(n) that the Segments give it (attention/segments.h): one per video, per frame, or those
// of a rank's slice. All compute in float32 whatever the dtype of x, and save nothing wider than x for the backward
// pass. On CUDA in bfloat16 each is one kernel per segment and pass (norm_cuda.h). Products are in linear.h.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "moga/attention/segments.h"

namespace moga {

// x [N, C]; weight, bias [V, C] float32, V vectors → [N, C] in x's dtype. Vectors that no row uses get a zero gradient.
at::Tensor scaled_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const Segments& segments,
                       double eps);

// x, branch [N, C]; gate [V, C] float32 → [N, C] in x's dtype.
at::Tensor gated_residual(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& gate,
                          const Segments& segments);

// The sum x + branch · gate_s, not yet computed. Without a branch it is x, without a gate x + branch.
struct Residual {
  at::Tensor x;            // [N, C]
  at::Tensor branch = {};  // [N, C], or undefined
  at::Tensor gate = {};    // [V, C] float32, or undefined
};

// The residual's sum x [N, C] and its scaled_norm y [N, C], in the dtype of the residual. On CUDA in bfloat16 each row
// is read and written once per pass: the backward pass adds the gradients that reach the sum elsewhere where it writes
// the norm's gradient. Later code must therefore use the x returned here, even where it equals the x passed in.
struct Normed {
  at::Tensor x, y;
};
Normed residual_norm(const Residual& residual, const at::Tensor& weight, const at::Tensor& bias,
                     const Segments& segments, double eps);

// LayerNorm with learned weight and bias, the same for all rows, after a residual.
class AffineNormImpl : public torch::nn::Module {
 public:
  AffineNormImpl(int64_t width, double eps);
  Normed forward(const Residual& residual, const Segments& segments);
  void initialise();

  at::Tensor weight, bias;  // [C]

 private:
  double eps_;
};
TORCH_MODULE(AffineNorm);

}  // namespace moga
