// Encoder and decoder, layer by layer. See coders.h.
#include "moga/model/vae/coders.h"

#include <torch/nn/module.h>
#include <torch/types.h>

#include "moga/model/vae/pixel_patches.h"
#include "moga/model/vae/residual_levels.h"

namespace moga {
namespace {

constexpr CausalConv3dImpl::Kernel kCube = {3, 3, 3};

at::Tensor channels_last(const at::Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast3d); }

}  // namespace

VaeHead::VaeHead(torch::nn::Module& parent, int64_t in_channels, int64_t out_channels)
    : norm_(in_channels), conv_(in_channels, out_channels, kCube) {
  const auto holder = parent.register_module("head", std::make_shared<torch::nn::Module>());
  holder->register_module("0", norm_);
  holder->register_module("2", conv_);
}

at::Tensor VaeHead::forward(const at::Tensor& x, FeatureCache& cache) {
  return conv_->after_norm_silu(norm_, x, cache);
}

namespace {

void add_middle(VaeLayers& middle, int64_t channels, double dropout) {
  middle.add<ResidualBlockImpl>(channels, channels, dropout);
  middle.add<AttentionBlockImpl>(channels);
  middle.add<ResidualBlockImpl>(channels, channels, dropout);
}

// From base_dim channels down to those of the last level, which are returned.
int64_t add_levels_down(VaeLayers& layers, const VaeConfig& config) {
  int64_t channels = config.base_dim;
  const size_t levels = config.dim_mult.size();
  for (size_t level = 0; level < levels; ++level) {
    const int64_t width = config.base_dim * config.dim_mult[level];
    for (int64_t block = 0; block < config.num_res_blocks; ++block) {
      layers.add<ResidualBlockImpl>(channels, width, config.dropout);
      channels = width;
    }
    if (level + 1 < levels) layers.add<DownsampleImpl>(channels, bool(config.temperal_downsample[level]));
  }
  return channels;
}

int64_t add_residual_levels_down(VaeLayers& layers, const VaeConfig& config) {
  const auto levels = config.levels_down();
  for (const ResidualLevelConfig& level : levels) layers.add<ResidualDownImpl>(level);
  return levels.back().out;
}

// From the channels of the last level up to those of the first, which are returned.
int64_t add_levels_up(VaeLayers& layers, const VaeConfig& config) {
  int64_t channels = config.decoder_base() * config.dim_mult.back();
  for (size_t level = config.dim_mult.size(); level-- > 0;) {
    const int64_t width = config.decoder_base() * config.dim_mult[level];
    for (int64_t block = 0; block <= config.num_res_blocks; ++block) {
      layers.add<ResidualBlockImpl>(channels, width, config.dropout);
      channels = width;
    }
    if (level == 0) break;
    layers.add<UpsampleImpl>(channels, channels / 2, bool(config.temperal_downsample[level - 1]));
    channels = width / 2;
  }
  return channels;
}

int64_t add_residual_levels_up(VaeLayers& layers, const VaeConfig& config) {
  const auto levels = config.levels_up();
  for (const ResidualLevelConfig& level : levels) layers.add<ResidualUpImpl>(level);
  return levels.back().out;
}

}  // namespace

VaeEncoderImpl::VaeEncoderImpl(const VaeConfig& config)
    : patch_(config.pixel_patch()),
      conv1_(register_module("conv1", CausalConv3d(config.pixel_channels(), config.base_dim, kCube))),
      downsamples_(*this, "downsamples"),
      middle_(*this, "middle") {
  const int64_t channels =
      config.is_residual ? add_residual_levels_down(downsamples_, config) : add_levels_down(downsamples_, config);
  add_middle(middle_, channels, config.dropout);
  head_ = std::make_unique<VaeHead>(*this, channels, 2 * config.z_dim);
}

at::Tensor VaeEncoderImpl::forward(const at::Tensor& video, FeatureCache& cache) {
  const at::Tensor x = conv1_(channels_last(to_pixel_patches(video, patch_)), cache);
  return head_->forward(middle_.forward(downsamples_.forward(x, cache), cache), cache);
}

VaeDecoderImpl::VaeDecoderImpl(const VaeConfig& config)
    : patch_(config.pixel_patch()),
      conv1_(
          register_module("conv1", CausalConv3d(config.z_dim, config.decoder_base() * config.dim_mult.back(), kCube))),
      middle_(*this, "middle"),
      upsamples_(*this, "upsamples") {
  add_middle(middle_, config.decoder_base() * config.dim_mult.back(), config.dropout);
  const int64_t channels =
      config.is_residual ? add_residual_levels_up(upsamples_, config) : add_levels_up(upsamples_, config);
  head_ = std::make_unique<VaeHead>(*this, channels, config.pixel_channels());
}

at::Tensor VaeDecoderImpl::forward(const at::Tensor& latent, FeatureCache& cache) {
  const at::Tensor x = middle_.forward(conv1_(channels_last(latent), cache), cache);
  return from_pixel_patches(head_->forward(upsamples_.forward(x, cache), cache), patch_);
}

}  // namespace moga
