// Wan's video transformer (2.1, and the experts of 2.2) at any size, with MoGA as its self-attention: the velocity
// v(x_t, t, text), or v(x_t, t, text, images) of image-to-video models.
//
//   latents [C_z, F, Y', X'] of each video → patches (1, 2, 2) → packed tokens [N, C] → blocks → head → latents
//
// Image-to-video models have more input channels, the condition (model/image_condition.h), and Wan2.1's also attend to
// embeddings of the images (image_embedding.h). Wan2.2-TI2V-5B is a text-to-video model that may be given some frames:
// these have timestep 0 (layers/frame_timesteps.h).
//
// Where ranks share the videos, each computes the rows of its slice; rows are exchanged inside self-attention, and the
// head's are gathered, so that every rank has the whole velocity.
//
// Modules carry Wan2.1's own parameter names (patch_embedding, text_embedding.0, time_embedding.0,
// time_projection.1, blocks.0.self_attn.q, …, head.head); MoGA adds blocks.N.self_attn.router. The interface is
// video_model.h; it does no sampling or text encoding.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/pimpl.h>

#include <filesystem>
#include <functional>
#include <optional>

#include "moga/attention/visual_attention.h"
#include "moga/model/family.h"
#include "moga/model/layers/frame_timesteps.h"
#include "moga/model/layers/patch.h"
#include "moga/model/layers/timestep.h"
#include "moga/model/layers/weight_places.h"
#include "moga/model/wan/block.h"
#include "moga/model/wan/image_embedding.h"
#include "moga/model/wan/weight_names.h"

namespace moga {

// diffusers' config.json keys (WanTransformer3DModel) and a section "moga".
struct TransformerConfig : VideoModelConfig {
  int64_t num_attention_heads = 12;  // H
  int64_t attention_head_dim = 128;  // D; C = H·D
  int64_t in_channels = 16;          // C_z and those of the condition
  int64_t out_channels = 16;         // C_z
  int64_t text_dim = 4096;
  int64_t freq_dim = 256;  // sinusoid of the timestep
  int64_t ffn_dim = 8960;
  int64_t num_layers = 30;
  bool cross_attn_norm = true;
  std::string qk_norm = "rms_norm_across_heads";
  double eps = 1e-6;
  std::vector<int64_t> patch_size = {1, 2, 2};
  int64_t text_len = 512;  // text tokens per caption (ours; Wan: 512)
  // Of Wan2.1's image-to-video models; unset in all others.
  std::optional<int64_t> image_dim;          // width of the image encoder
  std::optional<int64_t> added_kv_proj_dim;  // C, where blocks attend to image tokens
  std::optional<int64_t> pos_embed_seq_len;  // image tokens of first and last frame, which have learned positions
  VisualAttentionConfig moga;

  int64_t width() const { return num_attention_heads * attention_head_dim; }

  const char* class_name() const override { return "WanTransformer3DModel"; }
  const char* codec_class() const override { return "AutoencoderKLWan"; }
  std::unique_ptr<VideoModelConfig> clone() const override { return std::make_unique<TransformerConfig>(*this); }
  std::shared_ptr<VideoModel> build(bool initialise) const override;
  void apply(const std::vector<std::string>& settings, const std::string& source) override;
  void validate() const override;
  void read_tree(const config_detail::Node& table, const config_detail::Source& source) override;
  config_detail::Node tree() const override;
  int64_t latent_channels() const override { return out_channels; }
  Strides patch() const override { return {patch_size[0], patch_size[1], patch_size[2]}; }
  Conditioning conditioning() const override;
  ModelShape shape() const override;
  const VisualAttentionConfig& attention() const override { return moga; }
  VisualAttentionConfig& attention() override { return moga; }
  void set_layers(int64_t layers) override { num_layers = layers; }
  template <class Fields>
  void fields(Fields& field) {
    field("num_attention_heads", num_attention_heads, "attention heads H");
    field("attention_head_dim", attention_head_dim, "head size D");
    field("in_channels", in_channels, "latent channels, and those of the images' condition");
    field("out_channels", out_channels, "latent channels");
    field("text_dim", text_dim, "width of the text encoder");
    field("freq_dim", freq_dim, "size of the timestep's sinusoid");
    field("ffn_dim", ffn_dim, "width of the feed-forward layer");
    field("num_layers", num_layers, "transformer blocks");
    field("cross_attn_norm", cross_attn_norm, "affine LayerNorm before text attention");
    field("qk_norm", qk_norm, "rms_norm_across_heads, or empty for none");
    field("eps", eps, "epsilon of the norms");
    field("patch_size", patch_size, "patch (frames, rows, columns)");
    field("text_len", text_len, "text tokens per caption");
    field("image_dim", image_dim, "width of the image encoder, in models that use one");
    field("added_kv_proj_dim", added_kv_proj_dim, "width of the image tokens that blocks attend to");
    field("pos_embed_seq_len", pos_embed_seq_len, "image tokens of first and last frame, with learned positions");
    field("moga", moga, "visual attention");
  }
};

class TransformerImpl : public VideoModel {
 public:
  // Weights as Wan2.1 initialises them, from the default generator; `initialise` false leaves them unset, for a file.
  explicit TransformerImpl(const TransformerConfig& config, bool initialise = true);
  VideoModelOutput forward(const VideoModelInput& input, at::ScalarType dtype) override;
  const TransformerConfig& config() const override { return config_; }

  void initialise() override;
  void initialise_routers();  // N(0, 0.02²), bias 0: near indifference
  void fill_head() override;
  std::string name_in(WeightLayout layout, const std::string& name) const override;
  at::ScalarType kept_dtype(const std::string& name, at::ScalarType dtype) const override;

  void keep_blocks_on_host(at::Device device) override { places_.keep_blocks_on_host(*blocks_, device); }
  void stream_blocks() override { places_.stream_blocks(); }
  void keep_on_host(at::Device device) override { places_.keep_on_host(*this, device); }
  void wake() override { places_.wake(); }
  void rest() override { places_.rest(); }
  void set_recompute(const RecomputeConfig& config) override;
  void set_block_weights(std::shared_ptr<BlockWeights> weights) override { places_.set_blocks(std::move(weights)); }
  void save(const std::filesystem::path& folder, at::ScalarType dtype, WeightLayout layout) const override;

 private:
  // What depends on the layout alone: computed once, kept while the layout stays the same (the steps of a sampler).
  struct LayoutTables {
    at::Device device;
    at::ScalarType dtype;
    int64_t text_tokens;                         // of a caption
    std::shared_ptr<ProcessGroup::State> ranks;  // that share the videos; null: this one has all tokens
    std::vector<std::vector<int64_t>> given_frames;
    FrameTimesteps timesteps;   // its segments: of the rows held here
    int64_t first_shot, shots;  // whose captions these rows see
    at::Tensor rotary;
    Grouping text_groups;
    std::vector<int64_t> image_counts;  // of all shots; empty: no images
    int64_t first_image, image_rows;    // those that these rows see
    Grouping image_groups;
    StaticGroupings groupings;  // on one rank
    std::shared_ptr<const SequenceAttention> over_ranks;
  };
  LayoutTables whole_tables(const VideoModelInput& input, at::ScalarType dtype) const;
  LayoutTables slice_tables(const VideoModelInput& input, at::ScalarType dtype) const;
  const LayoutTables& tables(const VideoModelInput& input, at::ScalarType dtype);
  void check_input(const VideoModelInput& input) const;
  void check_condition(const VideoModelInput& input) const;
  void check_image(const VideoModelInput& input) const;

  TransformerConfig config_;
  std::optional<LayoutTables> tables_;
  PatchEmbedding patch_embedding_{nullptr};
  Mlp text_embedding_{nullptr}, time_embedding_{nullptr};
  ImageEmbedding img_emb_{nullptr};  // empty without image_dim
  TimeProjection time_projection_{nullptr};
  torch::nn::ModuleList blocks_;
  WeightPlaces places_;
  RecomputeConfig recompute_;
  Head head_{nullptr};
};
TORCH_MODULE(Transformer);

// config.json with the keys of diffusers or of Wan2.1.
TransformerConfig load_transformer_config(const std::filesystem::path& path);

// A folder with config.json and safetensors, keys and names of Wan2.1 or of diffusers. Throws when a tensor is missing
// or has another shape; a missing router is reported in the log and initialised. A config without a section "moga"
// means full attention. Norms, modulations, the time embedding and the routers stay float32 whatever `dtype` (diffusers
// keeps them so; they are small and sensitive). A block whose attention is full has no router: one in the file is
// skipped. Scaled 8-bit weights stay as they are.
Transformer load_transformer(const std::filesystem::path& folder, const VideoModelLoad& how);
inline Transformer load_transformer(const std::filesystem::path& folder, at::Device device, at::ScalarType dtype,
                                    const std::vector<std::string>& settings = {}, bool stream_blocks = false,
                                    const std::function<void(VideoModel&)>& adapt = {}) {
  return load_transformer(
      folder, {.device = device, .dtype = dtype, .settings = settings, .stream_blocks = stream_blocks, .adapt = adapt});
}
void save_transformer(const std::filesystem::path& folder, const Transformer& model, at::ScalarType dtype,
                      WeightLayout layout = WeightLayout::kWan);

}  // namespace moga
