// See shapes.h.
#include "moga/bench/shapes.h"

#include "moga/core/check.h"

namespace moga {

TransformerConfig named_model(const std::string& name) {
  TransformerConfig config;  // Wan2.1-1.3B
  if (name == "1.3B") return config;
  if (name == "14B") {
    config.num_attention_heads = 40;
    config.ffn_dim = 13824;
    config.num_layers = 40;
    return config;
  }
  std::filesystem::path path = name;
  if (std::filesystem::is_directory(path)) path /= "transformer/config.json";
  check(std::filesystem::is_regular_file(path), "model '", name,
        "' is unknown: expected 1.3B, 14B, a config.json or a model folder");
  return load_transformer_config(path);
}

ModelShape model_shape(const TransformerConfig& config) {
  const int64_t patch = config.patch_size[0] * config.patch_size[1] * config.patch_size[2];
  return {.layers = config.num_layers,
          .heads = config.num_attention_heads,
          .head_dim = config.attention_head_dim,
          .ffn = config.ffn_dim,
          .patch_in = config.in_channels * patch,
          .patch_out = config.out_channels * patch,
          .text_tokens = config.text_len,
          .text_dim = config.text_dim,
          .freq_dim = config.freq_dim};
}

}  // namespace moga
