// Upsampling in the VAE's decoder: every pixel is repeated twice in both directions, and channels that hold two frames
// are split into frames.
//
// Uses our kernel in one pass (kernels/nearest_upsample.h) on CUDA in bfloat16 without gradients, otherwise ATen.
#pragma once

#include <ATen/core/Tensor.h>

namespace moga {

// x [B, parts·C, T, Y, X], channels-last, part p of frame t becoming frame t·parts + p → [B, C, parts·T, 2Y, 2X].
at::Tensor nearest_upsample(const at::Tensor& x, int64_t parts);

// Splits frames only: [B, parts·C, T, Y, X] → [B, C, parts·T, Y, X], channels-last.
at::Tensor parted_frames(const at::Tensor& x, int64_t parts);

}  // namespace moga
