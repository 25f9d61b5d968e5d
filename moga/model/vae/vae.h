// Wan's causal 3D autoencoders: video [3, T, Y, X] in [-1, 1] ↔ latent [z, 1 + (T-1)/4, Y/8, X/8] (Wan2.1), or
// [z, 1 + (T-1)/4, Y/16, X/16] (Wan2.2 TI2V-5B, with z = 48). The config says which: squares of pixels as channels
// (patch_size), and levels with shortcuts (is_residual).
//
// Every convolution is causal in time, so both directions run chunk by chunk with a feature cache, in memory that does
// not grow with duration, and equal to whole-clip evaluation. Encoded latents are normalised by the config's mean and
// deviation. The interface is codec.h; encode_moments and decode_raw serve training.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "moga/model/codec.h"
#include "moga/model/layers/weight_layout.h"
#include "moga/model/vae/layers.h"
#include "moga/model/vae/residual_levels.h"

namespace moga {

class VaeEncoderImpl;
class VaeDecoderImpl;

// diffusers' config.json keys (AutoencoderKLWan).
struct VaeConfig : CodecConfig {
  int64_t base_dim = 96;
  std::optional<int64_t> decoder_base_dim;  // unset: base_dim
  int64_t z_dim = 16;
  std::vector<int64_t> dim_mult = {1, 2, 4, 4};
  int64_t num_res_blocks = 2;
  std::vector<double> attn_scales = {};
  std::vector<bool> temperal_downsample = {false, true, true};  // diffusers' spelling
  double dropout = 0.0;
  std::vector<double> latents_mean;  // [z_dim]
  std::vector<double> latents_std;
  bool is_residual = false;           // Wan2.2's levels
  std::optional<int64_t> patch_size;  // side of a square of pixels; unset: 1

  int64_t decoder_base() const { return decoder_base_dim.value_or(base_dim); }
  int64_t pixel_patch() const { return patch_size.value_or(1); }
  int64_t pixel_channels() const { return 3 * pixel_patch() * pixel_patch(); }  // of what the coders compute on
  // Of Wan2.2's coders, in the order in which they run.
  std::vector<ResidualLevelConfig> levels_down() const;
  std::vector<ResidualLevelConfig> levels_up() const;

  const char* class_name() const override { return "AutoencoderKLWan"; }
  std::unique_ptr<CodecConfig> clone() const override { return std::make_unique<VaeConfig>(*this); }
  std::shared_ptr<Codec> build() const override;
  void validate() const override;
  Strides strides() const override;
  int64_t latent_channels() const override { return z_dim; }
  double encode_flop(double latents) const override;  // cost.cpp
  double decode_flop(double latents) const override;
  template <class Fields>
  void fields(Fields& field) {
    field("base_dim", base_dim, "channels at full resolution");
    field("decoder_base_dim", decoder_base_dim, "the decoder's channels at full resolution, if they are others");
    field("z_dim", z_dim, "latent channels");
    field("dim_mult", dim_mult, "channel multiplier of each level");
    field("num_res_blocks", num_res_blocks, "residual blocks per level");
    field("attn_scales", attn_scales, "scales with attention (none in Wan2.1)");
    field("temperal_downsample", temperal_downsample, "levels that halve time");
    field("dropout", dropout, "dropout");
    field("latents_mean", latents_mean, "mean of each latent channel");
    field("latents_std", latents_std, "deviation of each latent channel");
    field("is_residual", is_residual, "levels with shortcuts (Wan2.2)");
    field("patch_size", patch_size, "side of a square of pixels that the coders see as channels (Wan2.2: 2)");
  }
};

class VaeImpl : public Codec {
 public:
  explicit VaeImpl(const VaeConfig& config);

  // Whole clips, with gradients: for training. video [B, 3, T, Y, X] → mean and log variance [B, z, F, Y', X'],
  // not normalised.
  std::pair<at::Tensor, at::Tensor> encode_moments(const at::Tensor& video);
  // latent (not normalised) [B, z, F, Y', X'] → [B, 3, T, Y, X], not clamped.
  at::Tensor decode_raw(const at::Tensor& latent);

  at::Tensor encode(const at::Tensor& video) override;
  at::Tensor encode_clip(const at::Tensor& video) override { return normalise(encode_moments(video).first); }
  void decode(const at::Tensor& latent, const FrameSink& sink) override;

  // With float32 copies of the config's mean and deviation.
  at::Tensor normalise(const at::Tensor& latent) const override;
  at::Tensor denormalise(const at::Tensor& latent) const override;
  const VaeConfig& config() const override { return config_; }
  void store_channels_last() override;
  void save(const std::filesystem::path& folder, at::ScalarType dtype, WeightLayout layout) const override;
  // Of all causal convolutions; 2D ones support sm90 and the library only.
  void set_convolution(ConvolutionWay way) override;
  void set_statistics(std::vector<double> mean, std::vector<double> deviation);

 private:
  at::TensorOptions options() const;  // device and dtype of the weights

  VaeConfig config_;
  std::shared_ptr<VaeEncoderImpl> encoder_;
  std::shared_ptr<VaeDecoderImpl> decoder_;
  CausalConv3d conv1_{nullptr}, conv2_{nullptr};  // 1×1×1, between coder and latent
};
TORCH_MODULE(Vae);

// Published with Wan2.2-TI2V-5B, without the latents' statistics. A default VaeConfig is Wan2.1's.
VaeConfig wan22_vae_config();
// config.json of AutoencoderKLWan; a key that is not understood, or another VAE, is an error.
VaeConfig load_vae_config(const std::filesystem::path& path);
// A folder with config.json and safetensors, names of Wan or of diffusers. Throws when a tensor is missing, unused
// or has another shape.
Vae load_vae(const std::filesystem::path& folder, at::Device device, at::ScalarType dtype);
// By default in diffusers' names, so that AutoencoderKLWan opens the folder.
void save_vae(const std::filesystem::path& folder, const Vae& model, at::ScalarType dtype,
              WeightLayout layout = WeightLayout::kDiffusers);

}  // namespace moga
