// Attention of the VAE's middle block: softmax(q kᵀ / √C) v over the pixels of each image, with one head of C channels.
//
// C (384 in Wan2.1) is too wide for ATen's fused attention, and its plain path computes in float32 throughout. On CUDA
// in bfloat16 without gradients, the two products here use bfloat16 operands, as fused attention would; scores and
// softmax are float32.
#pragma once

#include <ATen/core/Tensor.h>

namespace moga {

// q, k, v [N, L, C] → [N, L, C]. On the GPU path above, scores use at most 384 MiB.
at::Tensor image_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

}  // namespace moga
