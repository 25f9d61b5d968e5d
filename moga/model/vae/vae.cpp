// See vae.h. Both directions of the VAE, whole and streamed.
#include "moga/model/vae/vae.h"

#include <torch/types.h>

#include <algorithm>

#include "moga/core/check.h"
#include "moga/model/layers/limits.h"
#include "moga/model/vae/coders.h"

namespace moga {
namespace {

constexpr CausalConv3dImpl::Kernel kPoint = {1, 1, 1};

at::Tensor as_row(const std::vector<double>& values, at::Device device) {
  const at::Tensor row = at::tensor(values, at::kDouble).to(at::kFloat);
  return row.view({1, -1, 1, 1, 1}).to(device);
}

void check_video(const at::Tensor& video, const Strides& strides) {
  check(video.dim() == 5 && video.size(1) == 3, "the VAE got a video of shape ", video.sizes(),
        ", expected [B, 3, T, Y, X]");
  check(strides.divide(video.size(4), video.size(3)), "the VAE got frames of ", video.size(4), "×", video.size(3),
        " pixels, expected ", strides.multiples());
  strides.latent_frames(video.size(2));
}

// The shortcuts average or repeat channels in equal groups.
void check_shortcuts(const VaeConfig& config) {
  for (const ResidualLevelConfig& level : config.levels_down())
    check(level.in * level.factor().positions() % level.out == 0, "VAE: is_residual, and the encoder's level of ",
          level.in, " to ", level.out, " channels cannot average groups of equal size");
  for (const ResidualLevelConfig& level : config.levels_up())
    check(!level.resample || level.out * level.factor().positions() % level.in == 0,
          "VAE: is_residual, and the decoder's level of ", level.in, " to ", level.out,
          " channels cannot repeat each equally often");
}

}  // namespace

std::vector<ResidualLevelConfig> VaeConfig::levels_down() const {
  std::vector<ResidualLevelConfig> levels;
  int64_t channels = base_dim;
  for (size_t level = 0; level < dim_mult.size(); ++level) {
    const bool resample = level + 1 < dim_mult.size();
    levels.push_back({.in = channels,
                      .out = base_dim * dim_mult[level],
                      .blocks = num_res_blocks,
                      .resample = resample,
                      .time = resample && temperal_downsample[level],
                      .dropout = dropout});
    channels = levels.back().out;
  }
  return levels;
}

std::vector<ResidualLevelConfig> VaeConfig::levels_up() const {
  std::vector<ResidualLevelConfig> levels;
  int64_t channels = decoder_base() * dim_mult.back();
  for (size_t level = dim_mult.size(); level-- > 0;) {
    levels.push_back({.in = channels,
                      .out = decoder_base() * dim_mult[level],
                      .blocks = num_res_blocks + 1,
                      .resample = level > 0,
                      .time = level > 0 && temperal_downsample[level - 1],
                      .dropout = dropout});
    channels = levels.back().out;
  }
  return levels;
}

void VaeConfig::validate() const {
  for (const int64_t base : {base_dim, decoder_base()})
    check(base > 0 && base % 2 == 0 && z_dim > 0, "VAE: base_dim ", base, " must be even, and z_dim ", z_dim,
          " positive");
  check(base_dim <= kMostVaeSide && decoder_base() <= kMostVaeSide && z_dim <= kMostVaeSide, "VAE: base_dim ", base_dim,
        ", decoder_base_dim ", decoder_base(), " and z_dim ", z_dim, ": expected at most ", kMostVaeSide);
  check(pixel_patch() >= 1 && pixel_patch() <= kMostPatchSide, "VAE: patch_size is ", pixel_patch(), ", expected 1 to ",
        kMostPatchSide);
  // Bounded, so that a damaged config is refused before its modules exhaust memory.
  check(num_res_blocks >= 1 && num_res_blocks <= kMostResidualBlocks, "VAE: num_res_blocks is ", num_res_blocks,
        ", expected 1 to ", kMostResidualBlocks);
  check(dim_mult.size() == 4, "VAE: dim_mult has ", dim_mult.size(), " levels, expected 4 (three of them halve space)");
  for (const int64_t multiplier : dim_mult)
    check(multiplier > 0 && multiplier <= kMostVaeSide, "VAE: dim_mult has ", multiplier, ", expected 1 to ",
          kMostVaeSide);
  check(temperal_downsample.size() == 3, "VAE: temperal_downsample has ", temperal_downsample.size(),
        " levels, expected 3");
  const int64_t halvings = std::count(temperal_downsample.begin(), temperal_downsample.end(), true);
  check(halvings == 2, "VAE: temperal_downsample halves time ", halvings, " times, expected 2 (time shrinks by 4)");
  check(attn_scales.empty(), "VAE: attn_scales has ", attn_scales.size(), " entries, expected none (as in Wan2.1)");
  if (is_residual) check_shortcuts(*this);
  check(dropout >= 0 && dropout < 1, "VAE: dropout is ", dropout, ", expected 0 ≤ dropout < 1");
  for (const auto* values : {&latents_mean, &latents_std})
    check(values->empty() || static_cast<int64_t>(values->size()) == z_dim, "VAE: latents_mean or latents_std has ",
          values->size(), " entries, expected z_dim = ", z_dim);
  for (const double deviation : latents_std) check(deviation > 0, "VAE: latents_std has ", deviation, ", expected > 0");
}

VaeConfig wan22_vae_config() {
  VaeConfig config;
  config.base_dim = 160;
  config.decoder_base_dim = 256;
  config.z_dim = 48;
  config.is_residual = true;
  config.patch_size = 2;
  return config;
}

std::shared_ptr<Codec> VaeConfig::build() const { return std::make_shared<VaeImpl>(*this); }

Strides VaeConfig::strides() const {
  const int64_t halvings = std::count(temperal_downsample.begin(), temperal_downsample.end(), true);
  const int64_t side = pixel_patch() << (dim_mult.size() - 1);
  return {int64_t{1} << halvings, side, side};
}

VaeImpl::VaeImpl(const VaeConfig& config) : config_(config) {
  config_.validate();
  encoder_ = register_module("encoder", std::make_shared<VaeEncoderImpl>(config_));
  conv1_ = register_module("conv1", CausalConv3d(2 * config_.z_dim, 2 * config_.z_dim, kPoint));
  conv2_ = register_module("conv2", CausalConv3d(config_.z_dim, config_.z_dim, kPoint));
  decoder_ = register_module("decoder", std::make_shared<VaeDecoderImpl>(config_));
  const size_t channels = static_cast<size_t>(config_.z_dim);
  set_statistics(config_.latents_mean.empty() ? std::vector<double>(channels, 0.0) : config_.latents_mean,
                 config_.latents_std.empty() ? std::vector<double>(channels, 1.0) : config_.latents_std);
}

std::pair<at::Tensor, at::Tensor> VaeImpl::encode_moments(const at::Tensor& video) {
  check_video(video, config_.strides());
  FeatureCache cache(FeatureCache::Clip::whole);
  const auto moments = conv1_->convolve(encoder_->forward(video, cache)).chunk(2, 1);
  return {moments[0], moments[1].clamp(-30.0, 20.0)};
}

at::Tensor VaeImpl::decode_raw(const at::Tensor& latent) {
  FeatureCache cache(FeatureCache::Clip::whole);
  return decoder_->forward(conv2_->convolve(latent), cache);
}

at::Tensor VaeImpl::encode(const at::Tensor& video) {
  check_video(video, config_.strides());
  FeatureCache cache(FeatureCache::Clip::chunked);
  std::vector<at::Tensor> chunks;
  for (int64_t begin = 0; begin < video.size(2);) {
    const int64_t frames = begin == 0 ? 1 : config_.strides().frames;
    if (begin > 0) cache.next_chunk();
    const at::Tensor chunk = video.narrow(2, begin, frames).to(options());
    const at::Tensor moments = conv1_->convolve(encoder_->forward(chunk, cache));
    chunks.push_back(moments.narrow(1, 0, config_.z_dim));
    begin += frames;
  }
  return normalise(at::cat(chunks, 2));
}

void VaeImpl::decode(const at::Tensor& latent, const FrameSink& sink) {
  check(latent.dim() == 5 && latent.size(1) == config_.z_dim, "the VAE got a latent of shape ", latent.sizes(),
        ", expected [B, ", config_.z_dim, ", F, Y', X']");
  FeatureCache cache(FeatureCache::Clip::chunked);
  for (int64_t frame = 0; frame < latent.size(2); ++frame) {
    if (frame > 0) cache.next_chunk();
    const at::Tensor z = denormalise(latent.narrow(2, frame, 1)).to(options());
    sink(decoder_->forward(conv2_->convolve(z), cache).clamp(-1.0, 1.0).contiguous());
  }
}

at::TensorOptions VaeImpl::options() const {
  const at::Tensor weight = conv2_->parameters().front();
  return at::TensorOptions(weight.device()).dtype(weight.scalar_type());
}

at::Tensor VaeImpl::normalise(const at::Tensor& latent) const {
  return (latent - as_row(config_.latents_mean, latent.device())) / as_row(config_.latents_std, latent.device());
}

at::Tensor VaeImpl::denormalise(const at::Tensor& latent) const {
  return latent * as_row(config_.latents_std, latent.device()) + as_row(config_.latents_mean, latent.device());
}

void VaeImpl::store_channels_last() {
  for (at::Tensor& weight : parameters()) {
    if (weight.dim() == 5) weight.set_data(weight.contiguous(at::MemoryFormat::ChannelsLast3d));
    if (weight.dim() == 4) weight.set_data(weight.contiguous(at::MemoryFormat::ChannelsLast));
  }
}

void VaeImpl::set_convolution(ConvolutionWay way) {
  for (const auto& module : modules()) {
    if (auto* convolution = module->as<CausalConv3dImpl>()) convolution->set_way(way);
    if (auto* convolution = module->as<ImageConvImpl>()) convolution->set_way(way);
  }
}

void VaeImpl::set_statistics(std::vector<double> mean, std::vector<double> deviation) {
  config_.latents_mean = std::move(mean);
  config_.latents_std = std::move(deviation);
  config_.validate();
}

}  // namespace moga
