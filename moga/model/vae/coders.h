// Encoder and decoder of the VAE: the layers of layers.h in Wan2.1's order and under its names, or in Wan2.2's, whose
// levels have shortcuts (residual_levels.h) and whose pixels come in squares (pixel_patches.h).
//
//   encoder: conv1 → downsamples (residual blocks and resampling, level by level) → middle → head
//   decoder: conv1 → middle → upsamples → head
//
// Both process chunks of a clip; the state between chunks is in the FeatureCache.
#pragma once

#include "moga/model/vae/layer_list.h"
#include "moga/model/vae/vae.h"

namespace moga {

// norm → silu → convolution.
class VaeHead {
 public:
  VaeHead(torch::nn::Module& parent, int64_t in_channels, int64_t out_channels);
  at::Tensor forward(const at::Tensor& x, FeatureCache& cache);

 private:
  ChannelNorm norm_;
  CausalConv3d conv_;
};

class VaeEncoderImpl : public torch::nn::Module {
 public:
  explicit VaeEncoderImpl(const VaeConfig& config);
  // [B, 3, T, Y, X] → [B, 2z, F, Y/8, X/8], or Y/16, X/16 (VaeConfig::strides): T = 1 + 4k in the first chunk, 4k
  // later.
  at::Tensor forward(const at::Tensor& video, FeatureCache& cache);

 private:
  int64_t patch_;
  CausalConv3d conv1_{nullptr};
  VaeLayers downsamples_, middle_;
  std::unique_ptr<VaeHead> head_;
};

class VaeDecoderImpl : public torch::nn::Module {
 public:
  explicit VaeDecoderImpl(const VaeConfig& config);
  // [B, z, F, Y', X'] → [B, 3, T, 8Y', 8X'], or 16Y', 16X': T = 1 + 4(F − 1) in the first chunk, 4F later.
  at::Tensor forward(const at::Tensor& latent, FeatureCache& cache);

 private:
  int64_t patch_;
  CausalConv3d conv1_{nullptr};
  VaeLayers middle_, upsamples_;
  std::unique_ptr<VaeHead> head_;
};

}  // namespace moga
