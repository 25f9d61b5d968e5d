// Linear, GELU (tanh), Linear in training as one function, on CUDA in bfloat16 (kernels/gelu_product.h,
// gelu_gradient.h):
//
//   pre = x W₁ᵀ + b₁    hidden = gelu(pre)    y = hidden W₂ᵀ + b₂
//   dW₂ = dyᵀ hidden    dpre = gelu'(pre) ∘ (dy W₂), db₁ = Σ dpre    dW₁ = dpreᵀ x    dx = dpre W₁
//
// pre and hidden, the widest tensors of a block, are each written once, by the product; dpre takes the place of dy W₂.
// hidden is let go once dW₂ is there and before that comes, so that of three such tensors two are alive at a time. Used
// by Mlp (linear.h).
#pragma once

#include <ATen/core/Tensor.h>

namespace moga {

// x [N, in], W₁ [hidden, in], W₂ [out, hidden]
bool gelu_mlp_serves(const at::Tensor& x, const at::Tensor& w1, const at::Tensor& w2);

at::Tensor gelu_mlp(const at::Tensor& x, const at::Tensor& w1, const at::Tensor& b1, const at::Tensor& w2,
                    const at::Tensor& b2);  // → [N, out]

}  // namespace moga
