// Wan2.1's video transformer at any size, with MoGA as its self-attention: the velocity v(x_t, t, text).
//
//   latents [C_z, F, Y', X'] of each video → patches (1, 2, 2) → packed tokens [N, C] → blocks → head → latents
//
// Modules carry Wan2.1's own parameter names (patch_embedding, text_embedding.0, time_embedding.0,
// time_projection.1, blocks.0.self_attn.q, …, head.head); MoGA adds blocks.N.self_attn.router. Parallelism, sampling
// and text encoding live elsewhere.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/pimpl.h>

#include <filesystem>

#include "moga/attention/visual_attention.h"
#include "moga/model/layers/patch.h"
#include "moga/model/layers/timestep.h"
#include "moga/model/wan/block.h"
#include "moga/model/wan/weight_names.h"

namespace moga {

class WeightStream;

// diffusers' config.json keys (WanTransformer3DModel) and a section "moga".
struct TransformerConfig {
  int64_t num_attention_heads = 12;  // H
  int64_t attention_head_dim = 128;  // D; C = H·D
  int64_t in_channels = 16;          // C_z
  int64_t out_channels = 16;
  int64_t text_dim = 4096;
  int64_t freq_dim = 256;  // sinusoid of the timestep
  int64_t ffn_dim = 8960;
  int64_t num_layers = 30;
  bool cross_attn_norm = true;
  std::string qk_norm = "rms_norm_across_heads";
  double eps = 1e-6;
  std::vector<int64_t> patch_size = {1, 2, 2};
  int64_t text_len = 512;  // text tokens a caption (ours; Wan: 512)
  VisualAttentionConfig moga;

  int64_t width() const { return num_attention_heads * attention_head_dim; }
  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("num_attention_heads", num_attention_heads, "attention heads H");
    field("attention_head_dim", attention_head_dim, "head size D");
    field("in_channels", in_channels, "latent channels");
    field("out_channels", out_channels, "latent channels of the output");
    field("text_dim", text_dim, "width of the text encoder");
    field("freq_dim", freq_dim, "size of the timestep's sinusoid");
    field("ffn_dim", ffn_dim, "width of the feed-forward layer");
    field("num_layers", num_layers, "transformer blocks");
    field("cross_attn_norm", cross_attn_norm, "affine LayerNorm before text attention");
    field("qk_norm", qk_norm, "rms_norm_across_heads, or empty for none");
    field("eps", eps, "epsilon of the norms");
    field("patch_size", patch_size, "patch (frames, rows, columns)");
    field("text_len", text_len, "text tokens a caption");
    field("moga", moga, "visual attention");
  }
};

struct TransformerInput {
  std::vector<at::Tensor> latents;  // one a video, [C_z, F, Y', X']
  at::Tensor timestep;              // [B] float32 in [0, 1000]
  // Caption embeddings of all shots of all videos, shot after shot: [S_total, text_len, text_dim]. Rows beyond a
  // caption's own tokens are zero and *are* attended to, once projected (as in Wan2.1).
  at::Tensor text;
  Layout layout;                    // rows = Y'/2, columns = X'/2, shots
  bool full_attention = false;      // in all layers, instead of what the config says: a step of a schedule
  AttentionObserver observer = {};  // sees the inputs of each layer's attention; may be empty
};

struct TransformerOutput {
  std::vector<at::Tensor> velocity;  // one a video, [C_z, F, Y', X'], float32
  at::Tensor balance_loss;           // mean over layers, times α; undefined without a router
  // [layers with a router, M] int64, summed over videos, on the device; undefined without a router
  at::Tensor group_histogram;
};

class TransformerImpl : public torch::nn::Module {
 public:
  // Weights as Wan2.1 initialises them, from the default generator; `initialise` false leaves them unset, for a file.
  explicit TransformerImpl(const TransformerConfig& config, bool initialise = true);
  // Products and attention run in `dtype` (weights are cast when they are kept wider: float32 masters); norms,
  // modulation and the softmax of the router in float32.
  TransformerOutput forward(const TransformerInput& input, at::ScalarType dtype);
  const TransformerConfig& config() const { return config_; }

  void initialise();          // all weights
  void initialise_routers();  // N(0, 0.02²), bias 0: near indifference

  // For inference with a model that does not fit: allocates the blocks' weights in host memory, without values. Once
  // they are filled, stream_blocks() copies each block's to `device` while the block before it computes
  // (weight_stream.h).
  void keep_blocks_on_host(at::Device device);
  void stream_blocks();
  // What blocks keep for their backward pass; everything unless set.
  void set_recompute(const RecomputeConfig& config);

 private:
  // What depends on the layout alone: made once, kept while the layout stays the same (the steps of a sampler).
  struct LayoutTables {
    at::Device device;
    at::ScalarType dtype;
    int64_t text_tokens;  // of a caption
    at::Tensor rotary;
    Grouping text_groups;
    StaticGroupings groupings;
  };
  const LayoutTables& tables(const TransformerInput& input, at::ScalarType dtype);
  void check_input(const TransformerInput& input) const;

  TransformerConfig config_;
  std::optional<LayoutTables> tables_;
  PatchEmbedding patch_embedding_{nullptr};
  Mlp text_embedding_{nullptr}, time_embedding_{nullptr};
  TimeProjection time_projection_{nullptr};
  torch::nn::ModuleList blocks_;
  std::shared_ptr<WeightStream> weight_stream_;  // null unless blocks are kept on the host
  std::shared_ptr<BlockWeights> block_weights_ = std::make_shared<ResidentWeights>();
  RecomputeConfig recompute_;
  Head head_{nullptr};
};
TORCH_MODULE(Transformer);

// config.json with the keys of diffusers or of Wan2.1.
TransformerConfig load_transformer_config(const std::filesystem::path& path);

// A folder with config.json and safetensors, keys and names of Wan2.1 or of diffusers. Throws when a tensor is missing
// or has another shape; a missing router is reported in the log and initialised. A config without a section "moga"
// means full attention. Norms, modulations, the time embedding and the routers stay float32 whatever `dtype` (diffusers
// keeps them so; they are small and sensitive). A block whose attention is full has no router: the file's, if it has
// one, is passed over. `settings` go over config.json: {"moga.kind=full", …}. `stream_blocks`: see TransformerImpl.
Transformer load_transformer(const std::filesystem::path& folder, at::Device device, at::ScalarType dtype,
                             const std::vector<std::string>& settings = {}, bool stream_blocks = false);
void save_transformer(const std::filesystem::path& folder, const Transformer& model, at::ScalarType dtype,
                      WeightLayout layout = WeightLayout::kWan);

}  // namespace moga
