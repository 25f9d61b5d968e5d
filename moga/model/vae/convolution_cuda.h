// The VAE's convolutions with our Hopper kernel (kernels/causal_convolution.h): converts tensors to plain pointers.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace moga {

class ConvolutionWeight;

// Why the kernel cannot convolve x [B, C, T, Y, X] with weight [C', C, frames, rows, columns]; empty if it can. It
// needs compute capability 9.0, bfloat16, no gradients, and kernels of 1×1 or 3×3 pixels.
std::string convolution_sm90_refuses(const at::Tensor& x, const at::Tensor& weight);

struct ConvolutionSm90 {
  at::Tensor x;         // [B, C, T, Y, X], T ≥ frames
  at::Tensor weight;    // [C', C, frames, side, side]
  at::Tensor bias;      // [C']
  at::Tensor residual;  // [B, C', T', Y, X] or undefined
  int64_t time_stride = 1;
};
// → [B, C', T', Y, X], channels-last. If C' is not a multiple of 8, the result is a slice of a tensor whose C' is.
// Other layouts of x and residual are copied. `tiled` caches the weight between calls; with null it is converted every
// time.
at::Tensor convolution_sm90(const ConvolutionSm90& call, ConvolutionWeight* tiled);

}  // namespace moga
