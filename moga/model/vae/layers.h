// The layers of Wan's video autoencoders, on [B, C, T, Y, X] stored channels-last:
//
//   norm(x) = √C · x / ‖x‖_C · γ          conv: 3D convolution over the current and earlier frames
//   residual block: x ↦ conv(silu(norm(conv(silu(norm(x)))))) + shortcut(x)
//   attention block: one head over the pixels of each frame
//   resample: (time × 2,) height × 2, width × 2, or halves
//
// Computed in x's dtype; weights stored wider are cast at use. coders.h assembles encoder and decoder.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <array>

#include "moga/model/vae/cache.h"
#include "moga/model/vae/causal_convolution.h"

namespace moga {

// A layer in the sequence of an encoder or decoder.
class VaeLayer : public torch::nn::Module {
 public:
  virtual at::Tensor forward(const at::Tensor& x, FeatureCache& cache) = 0;
};

// 2D convolution of images [N, C, Y, X], 1×1 or 3×3.
class ImageConvImpl : public torch::nn::Module {
 public:
  ImageConvImpl(int64_t in_channels, int64_t out_channels, int64_t kernel, int64_t stride = 1, int64_t padding = 0);
  at::Tensor forward(const at::Tensor& images) const;
  void set_way(ConvolutionWay way) { way_ = way; }
  at::Tensor& weight() { return weight_; }

 private:
  int64_t stride_, padding_;
  ConvolutionWay way_ = ConvolutionWay::automatic;
  at::Tensor weight_, bias_;
  mutable ConvolutionWeight tiled_;
};
TORCH_MODULE(ImageConv);

class ChannelNormImpl : public torch::nn::Module {
 public:
  // gamma has `dimensions` trailing dimensions of size one: 3 for videos, 2 for images (as in Wan2.1's files).
  ChannelNormImpl(int64_t channels, int64_t dimensions = 3);
  at::Tensor forward(const at::Tensor& x) const;
  at::Tensor with_silu(const at::Tensor& x) const;  // silu(forward(x))

  // On CUDA in bfloat16 without gradients, norm and SiLU are one pass instead of four separate operations.
  bool fused(const at::Tensor& x) const;
  // Writes with_silu(x) to y [B, C, T, Y, X], each video channels-last, and its last frames also to `kept`, if defined.
  // Only where fused.
  void write_silu(const at::Tensor& x, const at::Tensor& y, const at::Tensor& kept = {}) const;

 private:
  at::Tensor gamma_;
};
TORCH_MODULE(ChannelNorm);

// Convolution with zero padding in space and causal in time. `history` is the number of earlier frames it needs: kernel
// − stride.
class CausalConv3dImpl : public torch::nn::Module {
 public:
  using Kernel = std::array<int64_t, 3>;  // frames, rows, columns
  CausalConv3dImpl(int64_t in_channels, int64_t out_channels, Kernel kernel, int64_t time_stride = 1);
  // [B, C, T, Y, X] → [B, C', T / stride, Y, X], the frames before x from the cache.
  at::Tensor forward(const at::Tensor& x, FeatureCache& cache, const at::Tensor& residual = {});
  // forward(norm->with_silu(x), cache), plus the residual if there is one. A fused norm writes its result directly to
  // the convolution's input.
  at::Tensor after_norm_silu(const ChannelNorm& norm, const at::Tensor& x, FeatureCache& cache,
                             const at::Tensor& residual = {});
  // The same over exactly the given frames. The result is empty if there are fewer frames than the kernel has.
  at::Tensor convolve(const at::Tensor& frames, const at::Tensor& residual = {}) const;
  int64_t history() const { return kernel_[0] - time_stride_; }
  void set_way(ConvolutionWay way) { way_ = way; }
  at::Tensor& weight() { return weight_; }

 private:
  Kernel kernel_;
  int64_t time_stride_;
  ConvolutionWay way_ = ConvolutionWay::automatic;
  at::Tensor weight_, bias_;  // [C', C, frames, rows, columns], [C']
  mutable ConvolutionWeight tiled_;
};
TORCH_MODULE(CausalConv3d);

class ResidualBlockImpl : public VaeLayer {
 public:
  ResidualBlockImpl(int64_t in_channels, int64_t out_channels, double dropout);
  at::Tensor forward(const at::Tensor& x, FeatureCache& cache) override;

 private:
  double dropout_;
  ChannelNorm norm1_{nullptr}, norm2_{nullptr};
  CausalConv3d conv1_{nullptr}, conv2_{nullptr}, shortcut_{nullptr};
};

class AttentionBlockImpl : public VaeLayer {
 public:
  explicit AttentionBlockImpl(int64_t channels);
  at::Tensor forward(const at::Tensor& x, FeatureCache& cache) override;

 private:
  ChannelNorm norm_{nullptr};
  ImageConv to_qkv_{nullptr}, proj_{nullptr};
};

// [B, C, T, Y, X] → [B, C, T', Y/2, X/2]. With time, pairs of frames are merged except frame 0: 1 + 2k → 1 + k.
class DownsampleImpl : public VaeLayer {
 public:
  DownsampleImpl(int64_t channels, bool time);
  at::Tensor forward(const at::Tensor& x, FeatureCache& cache) override;

 private:
  ImageConv conv_{nullptr};
  CausalConv3d time_conv_{nullptr};
};

// [B, C, T, Y, X] → [B, C', T', 2Y, 2X]. With time, each frame except frame 0 becomes two: 1 + k → 1 + 2k.
class UpsampleImpl : public VaeLayer {
 public:
  UpsampleImpl(int64_t channels, int64_t out_channels, bool time);
  at::Tensor forward(const at::Tensor& x, FeatureCache& cache) override;

 private:
  at::Tensor enlarged(const at::Tensor& x, FeatureCache& cache);

  ImageConv conv_{nullptr};
  CausalConv3d time_conv_{nullptr};
};

}  // namespace moga
