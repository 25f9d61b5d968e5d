// Convolutions, norms, resampling and attention of the VAE. See layers.h.
#include "moga/model/vae/layers.h"

#include <torch/nn/init.h>
#include <torch/nn/module.h>
#include <torch/types.h>

#include <cmath>

#include "moga/core/check.h"
#include "moga/model/layers/norm_cuda.h"
#include "moga/model/vae/convolution_cuda.h"
#include "moga/model/vae/image_attention.h"
#include "moga/model/vae/nearest_upsample.h"

namespace moga {
namespace {

// Uniform with variance 1 / fan_in. Because residual branches are initialised to zero, a new VAE is a chain of
// convolutions that preserves the variance of its signal.
at::Tensor first_weight(at::IntArrayRef shape, int64_t fan_in) {
  const double bound = std::sqrt(3.0 / static_cast<double>(fan_in));
  return at::empty(shape, at::kFloat).uniform_(-bound, bound);
}

// A module that only holds others, under the numbers of Wan2.1's nn.Sequential.
std::shared_ptr<torch::nn::Module> holder(torch::nn::Module& parent, const std::string& name) {
  return parent.register_module(name, std::make_shared<torch::nn::Module>());
}

}  // namespace

CausalConv3dImpl::CausalConv3dImpl(int64_t in_channels, int64_t out_channels, Kernel kernel, int64_t time_stride)
    : kernel_(kernel), time_stride_(time_stride) {
  const int64_t fan_in = in_channels * kernel[0] * kernel[1] * kernel[2];
  weight_ =
      register_parameter("weight", first_weight({out_channels, in_channels, kernel[0], kernel[1], kernel[2]}, fan_in));
  bias_ = register_parameter("bias", at::zeros({out_channels}));
}

at::Tensor CausalConv3dImpl::forward(const at::Tensor& x, FeatureCache& cache, const at::Tensor& residual) {
  return convolve(history() > 0 ? cache.extend(x, history()) : x, residual);
}

at::Tensor CausalConv3dImpl::after_norm_silu(const ChannelNorm& norm, const at::Tensor& x, FeatureCache& cache,
                                             const at::Tensor& residual) {
  if (!norm->fused(x)) return forward(norm->with_silu(x), cache, residual);
  const auto write = [&](const at::Tensor& frames, const at::Tensor& kept) { norm->write_silu(x, frames, kept); };
  return convolve(cache.extend(x, history(), write), residual);
}

at::Tensor CausalConv3dImpl::convolve(const at::Tensor& frames, const at::Tensor& residual) const {
  return causal_convolution(frames, weight_, bias_,
                            {.time_stride = time_stride_, .way = way_, .residual = residual, .tiled = &tiled_});
}

ImageConvImpl::ImageConvImpl(int64_t in_channels, int64_t out_channels, int64_t kernel, int64_t stride, int64_t padding)
    : stride_(stride), padding_(padding) {
  const int64_t fan_in = in_channels * kernel * kernel;
  weight_ = register_parameter("weight", first_weight({out_channels, in_channels, kernel, kernel}, fan_in));
  bias_ = register_parameter("bias", at::zeros({out_channels}));
}

at::Tensor ImageConvImpl::forward(const at::Tensor& images) const {
  const at::Tensor weight = weight_.unsqueeze(2), video = images.unsqueeze(2);  // [N, C, 1, Y, X]
  const bool ours = way_ == ConvolutionWay::automatic || way_ == ConvolutionWay::sm90;
  if (ours && stride_ == 1 && padding_ == 1 && convolution_sm90_refuses(video, weight).empty())
    return causal_convolution(video, weight, bias_, {.way = ConvolutionWay::sm90, .tiled = &tiled_}).squeeze(2);
  return at::conv2d(images, weight_.to(images.scalar_type()), bias_.to(images.scalar_type()), {stride_, stride_},
                    {padding_, padding_});
}

ChannelNormImpl::ChannelNormImpl(int64_t channels, int64_t dimensions) {
  std::vector<int64_t> shape(1 + dimensions, 1);
  shape[0] = channels;
  gamma_ = register_parameter("gamma", at::ones(shape));
}

bool ChannelNormImpl::fused(const at::Tensor& x) const { return !at::GradMode::is_enabled() && channel_norm_serves(x); }

at::Tensor ChannelNormImpl::with_silu(const at::Tensor& x) const {
  if (!fused(x)) return at::silu(forward(x));
  const at::Tensor y = at::empty_like(x);
  write_silu(x, y);
  return y;
}

void ChannelNormImpl::write_silu(const at::Tensor& x, const at::Tensor& y, const at::Tensor& kept) const {
  channel_norm_cuda(x, gamma_, /*silu=*/true, y, kept);
}

at::Tensor ChannelNormImpl::forward(const at::Tensor& x) const {
  if (fused(x)) {
    const at::Tensor y = at::empty_like(x);
    channel_norm_cuda(x, gamma_, /*silu=*/false, y);
    return y;
  }
  const at::ScalarType wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor length = at::linalg_vector_norm(x, 2, at::IntArrayRef{1}, /*keepdim=*/true, wide);  // [B, 1, …]
  const at::Tensor scale = std::sqrt(static_cast<double>(x.size(1))) / length.clamp_min(1e-12);
  // Plain operations take less than half the time of ATen's fused RMSNorm for rows as short as these.
  return x * scale.to(x.scalar_type()) * gamma_.to(x.scalar_type());
}

ResidualBlockImpl::ResidualBlockImpl(int64_t in_channels, int64_t out_channels, double dropout) : dropout_(dropout) {
  const auto residual = holder(*this, "residual");
  norm1_ = residual->register_module("0", ChannelNorm(in_channels));
  conv1_ = residual->register_module("2", CausalConv3d(in_channels, out_channels, CausalConv3dImpl::Kernel{3, 3, 3}));
  norm2_ = residual->register_module("3", ChannelNorm(out_channels));
  conv2_ = residual->register_module("6", CausalConv3d(out_channels, out_channels, CausalConv3dImpl::Kernel{3, 3, 3}));
  torch::nn::init::zeros_(conv2_->weight());
  if (in_channels != out_channels)
    shortcut_ = register_module("shortcut", CausalConv3d(in_channels, out_channels, CausalConv3dImpl::Kernel{1, 1, 1}));
}

at::Tensor ResidualBlockImpl::forward(const at::Tensor& x, FeatureCache& cache) {
  const at::Tensor y = conv1_->after_norm_silu(norm1_, x, cache);
  const at::Tensor beside = shortcut_ ? shortcut_(x, cache) : x;
  if (dropout_ > 0 && is_training())
    return conv2_(at::dropout(norm2_->with_silu(y), dropout_, /*train=*/true), cache, beside);
  return conv2_->after_norm_silu(norm2_, y, cache, beside);
}

AttentionBlockImpl::AttentionBlockImpl(int64_t channels) {
  norm_ = register_module("norm", ChannelNorm(channels, /*dimensions=*/2));
  to_qkv_ = register_module("to_qkv", ImageConv(channels, 3 * channels, 1));
  proj_ = register_module("proj", ImageConv(channels, channels, 1));
  torch::nn::init::zeros_(proj_->weight());
}

at::Tensor AttentionBlockImpl::forward(const at::Tensor& x, FeatureCache&) {
  const at::Tensor images = to_images(x);  // [N, C, Y, X]
  const int64_t rows = images.size(2), columns = images.size(3);
  const at::Tensor qkv = to_qkv_(norm_(images)).permute({0, 2, 3, 1}).flatten(1, 2);  // [N, YX, 3C]
  const auto parts = qkv.chunk(3, -1);
  const at::Tensor mixed = image_attention(parts[0], parts[1], parts[2]);  // [N, YX, C]
  const at::Tensor y = mixed.unflatten(1, {rows, columns}).permute({0, 3, 1, 2});
  return x + to_video(proj_(y), x.size(0));
}

DownsampleImpl::DownsampleImpl(int64_t channels, bool time) {
  conv_ =
      holder(*this, "resample")->register_module("1", ImageConv(channels, channels, 3, /*stride=*/2, /*padding=*/2));
  if (time)
    time_conv_ = register_module(
        "time_conv", CausalConv3d(channels, channels, CausalConv3dImpl::Kernel{3, 1, 1}, /*time_stride=*/2));
}

at::Tensor DownsampleImpl::forward(const at::Tensor& x, FeatureCache& cache) {
  // Only the bottom and right edges need zero padding. The convolution pads by two on all sides instead, which needs no
  // copy; the first row and column of its result depend on padding only and are dropped.
  const at::Tensor images = conv_(to_images(x)).slice(2, 1).slice(3, 1);  // [N, C, Y/2, X/2]
  const at::Tensor y = to_video(images.contiguous(at::MemoryFormat::ChannelsLast), x.size(0));
  if (!time_conv_) return y;
  if (!cache.first_chunk()) return time_conv_(y, cache);
  // Frame 0 is unchanged, and is the past of the following frames.
  cache.extend(y, time_conv_->history());
  const at::Tensor rest = time_conv_->convolve(y);
  return rest.size(2) == 0 ? y : at::cat({y.narrow(2, 0, 1), rest}, 2);
}

UpsampleImpl::UpsampleImpl(int64_t channels, int64_t out_channels, bool time) {
  conv_ = holder(*this, "resample")->register_module("1", ImageConv(channels, out_channels, 3, 1, /*padding=*/1));
  if (time)
    time_conv_ = register_module("time_conv", CausalConv3d(channels, 2 * channels, CausalConv3dImpl::Kernel{3, 1, 1}));
}

at::Tensor UpsampleImpl::forward(const at::Tensor& x, FeatureCache& cache) {
  return to_video(conv_(to_images(enlarged(x, cache))), x.size(0));
}

// [B, C, T, Y, X] → [B, C, T', 2Y, 2X]
at::Tensor UpsampleImpl::enlarged(const at::Tensor& x, FeatureCache& cache) {
  if (!time_conv_) return nearest_upsample(x, 1);
  // Frame 0 is a single pixel frame: it is neither doubled nor part of the past of the following frames.
  const int64_t single = cache.first_chunk() ? 1 : 0;
  const at::Tensor pairs = time_conv_(x.narrow(2, single, x.size(2) - single), cache);  // [B, 2C, T, Y, X]
  if (!single) return nearest_upsample(pairs, 2);
  if (pairs.size(2) == 0) return nearest_upsample(x, 1);  // concatenating no frames would lose the memory layout
  return nearest_upsample(at::cat({x.narrow(2, 0, 1), parted_frames(pairs, 2)}, 2), 1);
}

}  // namespace moga
