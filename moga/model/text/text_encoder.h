// UMT5 encoder: text tokens → [B, L, d_model]. Relative position bias in every layer, gated GELU, RMSNorm, no
// scaling of the attention scores. Modules use Wan2.1's own names (token_embedding, blocks.0.attn.q, …); Hugging Face's
// layout is a table of names (names.h). tokenizer.h turns text into ids; captions.h combines the two.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <filesystem>
#include <vector>

#include "moga/model/layers/weight_layout.h"
#include "moga/model/text/text_encoder_block.h"

namespace moga {

// Hugging Face's config.json keys (UMT5EncoderModel).
struct TextEncoderConfig {
  int64_t vocab_size = 256384;
  int64_t d_model = 4096;
  int64_t d_kv = 64;
  int64_t d_ff = 10240;
  int64_t num_layers = 24;
  int64_t num_heads = 64;
  int64_t relative_attention_num_buckets = 32;
  int64_t relative_attention_max_distance = 128;
  double layer_norm_epsilon = 1e-6;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("vocab_size", vocab_size, "text tokens known");
    field("d_model", d_model, "width");
    field("d_kv", d_kv, "head size");
    field("d_ff", d_ff, "width of the feed-forward layer");
    field("num_layers", num_layers, "layers");
    field("num_heads", num_heads, "attention heads");
    field("relative_attention_num_buckets", relative_attention_num_buckets, "buckets of the position bias");
    field("relative_attention_max_distance", relative_attention_max_distance, "distance of the last bucket");
    field("layer_norm_epsilon", layer_norm_epsilon, "epsilon of the norms");
  }
};

class TextEncoderImpl : public torch::nn::Module {
 public:
  // Weights as T5 initialises them, from the default generator; `initialise` false leaves them unset, for a file.
  explicit TextEncoderImpl(const TextEncoderConfig& config, bool initialise = true);
  // ids int64 [B, L], lengths int64 [B] (text tokens before padding; on the device) → [B, L, d_model] in `dtype`,
  // rows beyond a length are zero. Padding is never attended to. Products run in `dtype` (weights kept wider are cast
  // at use), norms and the sum over the blocks in float32.
  at::Tensor forward(const at::Tensor& ids, const at::Tensor& lengths, at::ScalarType dtype);
  const TextEncoderConfig& config() const { return config_; }
  void initialise();

 private:
  TextEncoderConfig config_;
  TextTable token_embedding_{nullptr};
  std::vector<TextEncoderBlock> blocks_;
  TextNorm norm_{nullptr};
};
TORCH_MODULE(TextEncoder);

// config.json of transformers' UMT5EncoderModel; a key that is not understood is an error.
TextEncoderConfig load_text_encoder_config(const std::filesystem::path& path);
// A folder with config.json and safetensors, names of Wan2.1 or of Hugging Face. Throws when a tensor is missing,
// unused or has another shape.
TextEncoder load_text_encoder(const std::filesystem::path& folder, at::Device device, at::ScalarType dtype);
// kDiffusers: Hugging Face's names, so that UMT5EncoderModel opens the folder.
void save_text_encoder(const std::filesystem::path& folder, const TextEncoder& model, at::ScalarType dtype,
                       WeightLayout layout = WeightLayout::kWan);

}  // namespace moga
