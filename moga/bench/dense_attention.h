// The baseline: PyTorch's dense attention, by cuDNN on a GPU.
#pragma once

#include <ATen/core/Tensor.h>

namespace moga {

// q [Nq, H, D], k, v [Nk, H, D] → [Nq, H, D], with gradients. Uses cuDNN's kernels for half precision on a GPU,
// otherwise the choice of scaled_dot_product_attention.
at::Tensor dense_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

// "cudnn" or "sdpa".
const char* dense_backend(const at::Tensor& q);

}  // namespace moga
