// Frames of the VAE's decoder grow: every pixel twice in both directions, and where channels hold two frames, they
// part.
//
// On CUDA in bfloat16 without gradients by our kernel in one pass (kernels/nearest_upsample.h), else by ATen's
// operations.
#pragma once

#include <ATen/core/Tensor.h>

namespace moga {

// x [B, parts·C, T, Y, X], channels-last, part p of frame t becoming frame t·parts + p → [B, C, parts·T, 2Y, 2X].
at::Tensor nearest_upsample(const at::Tensor& x, int64_t parts);

// The parting alone: [B, parts·C, T, Y, X] → [B, C, parts·T, Y, X], channels-last.
at::Tensor parted_frames(const at::Tensor& x, int64_t parts);

}  // namespace moga
