// Encoder and decoder, layer by layer. See coders.h.
#include "moga/model/vae/coders.h"

#include <torch/nn/module.h>
#include <torch/types.h>

#include "moga/core/interrupt.h"

namespace moga {
namespace {

constexpr CausalConv3dImpl::Kernel kCube = {3, 3, 3};

at::Tensor channels_last(const at::Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast3d); }

}  // namespace

VaeLayers::VaeLayers(torch::nn::Module& parent, const std::string& name)
    : holder_(parent.register_module(name, std::make_shared<torch::nn::Module>())) {}

template <class Layer, class... Arguments>
void VaeLayers::add(Arguments... arguments) {
  const std::string number = std::to_string(layers_.size());
  layers_.push_back(holder_->register_module(number, std::make_shared<Layer>(arguments...)));
}

at::Tensor VaeLayers::forward(at::Tensor x, FeatureCache& cache) {
  for (const auto& layer : layers_) {
    stop_inside_if_interrupted();
    x = layer->forward(x, cache);
  }
  return x;
}

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

}  // namespace

VaeEncoderImpl::VaeEncoderImpl(const VaeConfig& config)
    : conv1_(register_module("conv1", CausalConv3d(3, config.base_dim, kCube))),
      downsamples_(*this, "downsamples"),
      middle_(*this, "middle") {
  int64_t channels = config.base_dim;
  const size_t levels = config.dim_mult.size();
  for (size_t level = 0; level < levels; ++level) {
    const int64_t width = config.base_dim * config.dim_mult[level];
    for (int64_t block = 0; block < config.num_res_blocks; ++block) {
      downsamples_.add<ResidualBlockImpl>(channels, width, config.dropout);
      channels = width;
    }
    if (level + 1 < levels) downsamples_.add<DownsampleImpl>(channels, bool(config.temperal_downsample[level]));
  }
  add_middle(middle_, channels, config.dropout);
  head_ = std::make_unique<VaeHead>(*this, channels, 2 * config.z_dim);
}

at::Tensor VaeEncoderImpl::forward(const at::Tensor& video, FeatureCache& cache) {
  const at::Tensor x = conv1_(channels_last(video), cache);
  return head_->forward(middle_.forward(downsamples_.forward(x, cache), cache), cache);
}

VaeDecoderImpl::VaeDecoderImpl(const VaeConfig& config)
    : conv1_(register_module("conv1", CausalConv3d(config.z_dim, config.base_dim * config.dim_mult.back(), kCube))),
      middle_(*this, "middle"),
      upsamples_(*this, "upsamples") {
  int64_t channels = config.base_dim * config.dim_mult.back();
  add_middle(middle_, channels, config.dropout);
  for (size_t level = config.dim_mult.size(); level-- > 0;) {
    const int64_t width = config.base_dim * config.dim_mult[level];
    for (int64_t block = 0; block <= config.num_res_blocks; ++block) {
      upsamples_.add<ResidualBlockImpl>(channels, width, config.dropout);
      channels = width;
    }
    if (level == 0) break;
    upsamples_.add<UpsampleImpl>(channels, bool(config.temperal_downsample[level - 1]));
    channels = width / 2;
  }
  head_ = std::make_unique<VaeHead>(*this, channels, 3);
}

at::Tensor VaeDecoderImpl::forward(const at::Tensor& latent, FeatureCache& cache) {
  const at::Tensor x = middle_.forward(conv1_(channels_last(latent), cache), cache);
  return head_->forward(upsamples_.forward(x, cache), cache);
}

}  // namespace moga
