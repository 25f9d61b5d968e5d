// The VAE's 3D convolution over the frames given: y_t = b + Σ_k W_k ∗ x_{t·stride + k}, W_k a 2D kernel.
//
// Frames include their past (cache.h) and are stored channels-last. There are several ways to compute the same sum;
// which is fast depends on the device and on its library. A residual of y's shape may be added.
#pragma once

#include <ATen/core/Tensor.h>

#include "moga/model/layers/convolution_way.h"
#include "moga/model/vae/convolution_weight.h"

namespace moga {

struct ConvolutionOptions {
  int64_t time_stride = 1;
  ConvolutionWay way = ConvolutionWay::automatic;
  at::Tensor residual = {};            // added to the result, or undefined
  ConvolutionWeight* tiled = nullptr;  // where sm90 keeps its form of the weight between calls, or null
};
// x [B, C, T, Y, X], weight [C', C, frames, rows, columns], bias [C'] → [B, C', (T − frames) / stride + 1, Y, X], zero
// padding in space alone. weight and bias are cast to x's dtype. The result has no frames when T is less than the
// kernel's. Throws when the way does not support the arguments.
at::Tensor causal_convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                              const ConvolutionOptions& options = {});

// [B, C, T, Y, X] → [B·T, C, Y, X], a view where memory allows.
at::Tensor to_images(const at::Tensor& video);
// [B·T, C, Y, X] → [B, C, T, Y, X], a view.
at::Tensor to_video(const at::Tensor& images, int64_t batch);

}  // namespace moga
