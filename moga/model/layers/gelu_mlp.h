// Linear, GELU (tanh), Linear in training as one function, on CUDA in bfloat16 (kernels/gelu_product.h,
// gelu_gradient.h):
//
//   pre = x W₁ᵀ + b₁    hidden = gelu(pre)    y = hidden W₂ᵀ + b₂
//   dhidden = dy W₂    dpre = gelu'(pre) ∘ dhidden, db₁ = Σ dpre    dW₂ = dyᵀ hidden    dW₁ = dpreᵀ x    dx = dpre W₁
//
// pre and hidden are the widest tensors of a block. Only pre is kept for the backward pass; there one kernel turns
// dhidden into dpre and pre into hidden, both in place, so that no more than two such tensors are alive at a time.
// Mlp (linear.h) uses it; it does not run without gradients.
#pragma once

#include "moga/model/layers/linear.h"

namespace moga {

// x [N, in]; first: W₁ [hidden, in], b₁; second: W₂ [out, hidden], b₂.
bool gelu_mlp_serves(const at::Tensor& x, const Linear& first, const Linear& second);

at::Tensor gelu_mlp(const at::Tensor& x, const Linear& first, const Linear& second);  // → [N, out]

}  // namespace moga
