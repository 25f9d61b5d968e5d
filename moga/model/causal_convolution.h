// The VAE's 3D convolution over the frames given: y_t = b + Σ_k W_k ∗ x_{t·stride + k}, W_k a 2D kernel.
//
// Frames come with their past before them (vae_cache.h) and are stored channels-last. There is more than one way to the
// same sum; which is fast depends on the device and on its library.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace moga {

enum class ConvolutionWay {
  automatic,  // planes for float32 and float64 on a CPU, else volume
  volume,     // one 3D convolution
  planes,     // a 2D convolution for each frame of the kernel, added up in x's dtype
  stacked,    // the kernel's frames side by side as channels, one 2D convolution: more bytes, one sum
};
ConvolutionWay parse_convolution_way(const std::string& name);

// x [B, C, T, Y, X], weight [C', C, frames, rows, columns], bias [C'] → [B, C', (T − frames) / stride + 1, Y, X], zero
// padding in space alone. weight and bias are cast to x's dtype. None come out when fewer frames than the kernel's go in.
at::Tensor causal_convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                              int64_t time_stride, ConvolutionWay way);

// [B, C, T, Y, X] → [B·T, C, Y, X], a view where memory allows.
at::Tensor to_images(const at::Tensor& video);
// [B·T, C, Y, X] → [B, C, T, Y, X], a view.
at::Tensor to_video(const at::Tensor& images, int64_t batch);

}  // namespace moga
