// CLIP's text tower: token ids [n, L] → features [n, P], in the space of the images' features.
//
//   token and position embeddings, causal layers (pre_norm_layers.h), norm; the text's end token, projected
//
// Modules carry the names of transformers' CLIPModel. Inference only, float32.
#pragma once

#include <torch/nn/pimpl.h>

#include <filesystem>
#include <optional>

#include "moga/model/image/pre_norm_layers.h"

namespace moga {

// Keys of transformers' CLIPTextConfig; its defaults are those of ViT-B/32's text half.
struct ClipTextConfig {
  int64_t vocab_size = 49408;
  int64_t hidden_size = 512;
  int64_t intermediate_size = 2048;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 8;
  int64_t max_position_embeddings = 77;
  ImageActivation hidden_act = ImageActivation::kQuickGelu;
  double layer_norm_eps = 1e-5;
  int64_t projection_dim = 512;  // P, of the whole model

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("vocab_size", vocab_size, "tokens");
    field("hidden_size", hidden_size, "width");
    field("intermediate_size", intermediate_size, "width of the feed-forward layer");
    field("num_hidden_layers", num_hidden_layers, "layers");
    field("num_attention_heads", num_attention_heads, "attention heads");
    field("max_position_embeddings", max_position_embeddings, "most tokens of a text");
    field("hidden_act", hidden_act, "activation of the feed-forward layer");
    field("layer_norm_eps", layer_norm_eps, "epsilon of the norms");
    field("projection_dim", projection_dim, "width of the features");
  }
};

class ClipTextImpl : public torch::nn::Module {
 public:
  explicit ClipTextImpl(const ClipTextConfig& config);  // weights unset, for a file
  // ids: int64 [n, L] with L up to max_position_embeddings; ends: int64 [n], where each text's end token is.
  at::Tensor forward(const at::Tensor& ids, const at::Tensor& ends);
  const ClipTextConfig& config() const { return config_; }

 private:
  ClipTextConfig config_;
  at::Tensor tokens_, positions_, projection_;
  std::optional<PreNormLayers> layers_;
  Affine final_norm_;
};
TORCH_MODULE(ClipText);

// A folder with config.json and safetensors of CLIPModel. Throws when a tensor is missing or has another shape.
ClipText load_clip_text(const std::filesystem::path& folder, at::Device device);

}  // namespace moga
