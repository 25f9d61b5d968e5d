// See clip_text.h.
#include "moga/model/image/clip_text.h"

#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/model/image/pretrained_keys.h"
#include "moga/model/layers/limits.h"
#include "moga/model/layers/load_module.h"

namespace moga {
namespace {

// The image half.
LoadOptions load_options() {
  return {.file_name_of = {},
          .optional = {},
          .harmless = {"vision_model.", "visual_projection.", "logit_scale", "position_ids"}};
}

PreNormNames layer_names() {
  PreNormNames names = kClipLayers;
  names.list = "text_model.encoder.layers";
  return names;
}

ClipTextConfig load_clip_text_config(const std::filesystem::path& path) {
  const std::string source = path.string();
  const nlohmann::json file = parse_json_object(read_text(path, kMostConfigBytes), source);
  check(file.contains("text_config") && file["text_config"].is_object(), source,
        ": no text_config, expected the config of a whole CLIPModel");
  nlohmann::json text = file["text_config"];
  erase_foreign_keys(text, kPretrainedKeys, source);
  ClipTextConfig config = parse_json<ClipTextConfig>(text.dump(2), source);
  if (file.contains("projection_dim")) config.projection_dim = whole_number(file, "projection_dim", 1, source);
  config.validate();
  return config;
}

}  // namespace

void ClipTextConfig::validate() const {
  for (const int64_t side : {vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads,
                             max_position_embeddings, projection_dim})
    check(side >= 1 && side <= kMostSide, "CLIP's text tower: a size is ", side, ", expected 1 to ", kMostSide);
  check(num_hidden_layers <= kMostLayers, "CLIP's text tower: num_hidden_layers is ", num_hidden_layers,
        ", expected at most ", kMostLayers);
  check(hidden_size % num_attention_heads == 0, "CLIP's text tower: hidden_size ", hidden_size,
        " is not a multiple of num_attention_heads ", num_attention_heads);
}

ClipTextImpl::ClipTextImpl(const ClipTextConfig& config) : config_(config) {
  config.validate();
  const int64_t width = config.hidden_size;
  tokens_ = register_tensor(*this, "text_model.embeddings.token_embedding.weight", {config.vocab_size, width});
  positions_ = register_tensor(*this, "text_model.embeddings.position_embedding.weight",
                               {config.max_position_embeddings, width});
  layers_.emplace(*this,
                  PreNormConfig{.width = width,
                                .hidden = config.intermediate_size,
                                .layers = config.num_hidden_layers,
                                .heads = config.num_attention_heads,
                                .activation = config.hidden_act,
                                .epsilon = config.layer_norm_eps,
                                .causal = true},
                  layer_names());
  final_norm_ = register_affine(*this, "text_model.final_layer_norm", {width});
  projection_ = register_tensor(*this, "text_projection.weight", {config.projection_dim, width});
}

at::Tensor ClipTextImpl::forward(const at::Tensor& ids, const at::Tensor& ends) {
  check(ids.dim() == 2 && ids.size(1) >= 1 && ids.size(1) <= config_.max_position_embeddings, "CLIP's text tower: ids ",
        ids.sizes(), ", expected [n, 1 to ", config_.max_position_embeddings, "]");
  at::Tensor x = at::embedding(tokens_, ids) + positions_.narrow(0, 0, ids.size(1));
  for (int64_t i = 0; i < layers_->size(); ++i) x = (*layers_)(i, x);
  const at::Tensor last = x.index({at::arange(ids.size(0), ids.options()), ends});
  return at::linear(normalised(last, final_norm_, config_.layer_norm_eps), projection_);
}

ClipText load_clip_text(const std::filesystem::path& folder, at::Device device) {
  const ClipTextConfig config = load_clip_text_config(folder / "config.json");
  return load_module<ClipText>(config, Safetensors(folder), load_options(), device);
}

}  // namespace moga
