// Linear, GELU (tanh), Linear in training as one function, on CUDA in bfloat16 (kernels/gelu_product.h,
// gelu_gradient.h):
//
//   pre = x W₁ᵀ + b₁    hidden = gelu(pre)    y = hidden W₂ᵀ + b₂
//   dW₂ = dyᵀ hidden    dpre = gelu'(pre) ∘ (dy W₂), db₁ = Σ dpre    dW₁ = dpreᵀ x    dx = dpre W₁
//
// pre and hidden, the widest tensors of a block, are each written once, by the product; dpre replaces dy W₂ in place.
// hidden is freed once dW₂ is computed and dy W₂ is allocated after that, so that of three such tensors two are alive
// at a time. Mlp (linear.h) uses it; it does not run without gradients.
#pragma once

#include "moga/model/layers/linear.h"

namespace moga {

// x [N, in]; first: W₁ [hidden, in], b₁; second: W₂ [out, hidden], b₂.
bool gelu_mlp_serves(const at::Tensor& x, const Linear& first, const Linear& second);

at::Tensor gelu_mlp(const at::Tensor& x, const Linear& first, const Linear& second);  // → [N, out]

}  // namespace moga
