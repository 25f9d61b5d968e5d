// The VAE's convolutions by our kernel for Hopper (kernels/causal_convolution.h): the seam between tensors and plain
// pointers.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace moga {

class ConvolutionWeight;

// Why the kernel cannot convolve x [B, C, T, Y, X] with weight [C', C, frames, rows, columns] here and now; empty when
// it can: compute capability 9.0, bfloat16, no gradients, kernels of 1×1 or 3×3 pixels.
std::string convolution_sm90_refuses(const at::Tensor& x, const at::Tensor& weight);

struct ConvolutionSm90 {
  at::Tensor x;         // [B, C, T, Y, X], T ≥ frames
  at::Tensor weight;    // [C', C, frames, side, side]
  at::Tensor bias;      // [C']
  at::Tensor residual;  // [B, C', T', Y, X] or undefined
  int64_t time_stride = 1;
};
// → [B, C', T', Y, X], channels-last; where C' is no multiple of 8, part of a tensor that is. Other layouts of x and
// residual are copied. `tiled` keeps the weight between calls; null: laid out anew.
at::Tensor convolution_sm90(const ConvolutionSm90& call, ConvolutionWeight* tiled);

}  // namespace moga
