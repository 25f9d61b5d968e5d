// Squares of pixels as channels: what the coders of Wan2.2's autoencoder compute on instead of pixels.
//
//   [B, 3, T, side · Y, side · X] ↔ [B, 3 · side², T, Y, X], channel (colour, column, row) within the square
#pragma once

#include <ATen/core/Tensor.h>

namespace moga {

at::Tensor to_pixel_patches(const at::Tensor& video, int64_t side);
at::Tensor from_pixel_patches(const at::Tensor& patches, int64_t side);

}  // namespace moga
