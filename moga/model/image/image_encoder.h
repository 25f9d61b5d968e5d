// CLIP's vision transformer (ViT): images [n, 3, S, S] → embeddings [n, 1 + (S/p)², C], those that enter its last
// layer, which Wan2.1's image-to-video models take (hidden_states[-2] in diffusers).
//
// The transformer itself, which other families share, is vision_transformer.h. Modules carry the names of
// transformers' CLIPVisionModel. Inference only, in float32: 0.6 G parameters run once.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <filesystem>

#include "moga/core/choice.h"
#include "moga/core/module_io.h"

namespace moga {

enum class ImageActivation { kGelu, kQuickGelu };
template <>
inline constexpr auto kChoices<ImageActivation> = std::array{
    Choice{ImageActivation::kGelu, "gelu", "x · Φ(x)"},
    Choice{ImageActivation::kQuickGelu, "quick_gelu", "x · sigmoid(1.702 x)"},
};

// Keys of transformers' CLIPVisionConfig; its defaults are those of ViT-B/32.
struct ImageEncoderConfig {
  int64_t hidden_size = 768;  // C
  int64_t intermediate_size = 3072;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t image_size = 224;  // S
  int64_t patch_size = 32;   // p
  ImageActivation hidden_act = ImageActivation::kQuickGelu;
  double layer_norm_eps = 1e-5;

  int64_t tokens() const { return 1 + (image_size / patch_size) * (image_size / patch_size); }
  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("hidden_size", hidden_size, "width");
    field("intermediate_size", intermediate_size, "width of the feed-forward layer");
    field("num_hidden_layers", num_hidden_layers, "layers");
    field("num_attention_heads", num_attention_heads, "attention heads");
    field("image_size", image_size, "pixels of a side");
    field("patch_size", patch_size, "pixels of a patch's side");
    field("hidden_act", hidden_act, "activation of the feed-forward layer");
    field("layer_norm_eps", layer_norm_eps, "epsilon of the norms");
  }
};

// ViT-H/14, the encoder of Wan2.1's published models.
ImageEncoderConfig vit_h_14();

class VisionTransformerImpl;

class ImageEncoderImpl : public torch::nn::Module {
 public:
  // Weights unset, for a file.
  explicit ImageEncoderImpl(const ImageEncoderConfig& config);
  at::Tensor forward(const at::Tensor& pixels);  // [n, 3, S, S] → [n, tokens, C]
  const ImageEncoderConfig& config() const { return config_; }

 private:
  ImageEncoderConfig config_;
  std::shared_ptr<VisionTransformerImpl> transformer_;  // vision_transformer.h
};
TORCH_MODULE(ImageEncoder);

ImageEncoderConfig load_image_encoder_config(const std::filesystem::path& path);
// A folder with config.json and safetensors of transformers' CLIPVisionModel or CLIPVisionModelWithProjection, whose
// projection is not used. Throws when a tensor is missing, unused or has another shape.
ImageEncoder load_image_encoder(const std::filesystem::path& folder, at::Device device);
FileFit image_encoder_file_fit(const std::filesystem::path& folder);
void save_image_encoder(const std::filesystem::path& folder, const ImageEncoder& model, at::ScalarType dtype);

}  // namespace moga
