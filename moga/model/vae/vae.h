// Wan2.1's causal 3D autoencoder: video [3, T, Y, X] in [-1, 1] ↔ latent [z, 1 + (T-1)/4, Y/8, X/8].
//
// Every convolution is causal in time, so both directions run chunk by chunk with a feature cache, in memory that does
// not grow with duration, and equal to whole-clip evaluation. Latents leave normalised by the config's mean and deviation.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "moga/model/vae/layers.h"
#include "moga/model/layers/weight_layout.h"

namespace moga {

class VaeEncoderImpl;
class VaeDecoderImpl;

// diffusers' config.json keys (AutoencoderKLWan).
struct VaeConfig {
  int64_t base_dim = 96;
  int64_t z_dim = 16;
  std::vector<int64_t> dim_mult = {1, 2, 4, 4};
  int64_t num_res_blocks = 2;
  std::vector<double> attn_scales = {};
  std::vector<bool> temperal_downsample = {false, true, true};  // diffusers' spelling
  double dropout = 0.0;
  std::vector<double> latents_mean;  // [z_dim]
  std::vector<double> latents_std;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("base_dim", base_dim, "channels at full resolution");
    field("z_dim", z_dim, "latent channels");
    field("dim_mult", dim_mult, "channel multiplier of each level");
    field("num_res_blocks", num_res_blocks, "residual blocks a level");
    field("attn_scales", attn_scales, "scales with attention (none in Wan2.1)");
    field("temperal_downsample", temperal_downsample, "levels that halve time");
    field("dropout", dropout, "dropout");
    field("latents_mean", latents_mean, "mean of each latent channel");
    field("latents_std", latents_std, "deviation of each latent channel");
  }
};

class VaeImpl : public torch::nn::Module {
 public:
  explicit VaeImpl(const VaeConfig& config);

  // Whole clips, with gradients: for training. video [B, 3, T, Y, X] → mean and log variance [B, z, F, Y/8, X/8],
  // not normalised.
  std::pair<at::Tensor, at::Tensor> encode_moments(const at::Tensor& video);
  // latent (not normalised) [B, z, F, Y', X'] → [B, 3, T, Y, X], not clamped.
  at::Tensor decode_raw(const at::Tensor& latent);

  // Normalised latents of a clip, streamed: 1 + 4(F-1) pixel frames → [B, z, F, Y/8, X/8] float32 (float64 from float64
  // weights) on the weights' device. The video may lie elsewhere and in another dtype; it is taken chunk by chunk.
  at::Tensor encode(const at::Tensor& video);
  // Latent frame by latent frame: `sink` gets [B, 3, 1 or 4, Y, X] in [-1, 1] in order, in the weights' dtype.
  void decode(const at::Tensor& latent, const std::function<void(const at::Tensor& frames)>& sink);

  // float32 copies of the config's mean and deviation, shaped [1, z, 1, 1, 1].
  at::Tensor normalise(const at::Tensor& latent) const;
  at::Tensor denormalise(const at::Tensor& latent) const;
  const VaeConfig& config() const { return config_; }
  // For inference on a GPU: weights stored as its convolutions read them, so that no call lays them out anew.
  void store_channels_last();
  // Of all causal convolutions; 2D ones know sm90 and the library.
  void set_convolution(ConvolutionWay way);
  void set_statistics(std::vector<double> mean, std::vector<double> deviation);

 private:
  at::TensorOptions options() const;  // device and dtype of the weights

  VaeConfig config_;
  std::shared_ptr<VaeEncoderImpl> encoder_;
  std::shared_ptr<VaeDecoderImpl> decoder_;
  CausalConv3d conv1_{nullptr}, conv2_{nullptr};  // 1×1×1, between coder and latent
};
TORCH_MODULE(Vae);

// Pixel frames of F latent frames and the reverse: 1 + 4 (F - 1); T must be 1 + 4k.
int64_t pixel_frames(int64_t latent_frames);
int64_t latent_frames(int64_t pixel_frames);
// Pixel frames of each shot: the first latent frame of a video is one pixel frame, all others are four.
std::vector<int64_t> pixel_shot_frames(const std::vector<int64_t>& latent_shot_frames);

// A folder with config.json and safetensors, names of Wan2.1 or of diffusers. Throws when a tensor is missing or has
// another shape.
Vae load_vae(const std::filesystem::path& folder, at::Device device, at::ScalarType dtype);
// By default in diffusers' names, so that AutoencoderKLWan opens the folder.
void save_vae(const std::filesystem::path& folder, const Vae& model, at::ScalarType dtype,
              WeightLayout layout = WeightLayout::kDiffusers);

}  // namespace moga
