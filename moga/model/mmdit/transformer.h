// MMDiT: the paper's second model (docs/design.md, section 2), a transformer with a stream of video tokens and a stream
// of text tokens: the velocity v(x_t, t, text).
//
//   latents [C_z, F, Y', X'] of each video → patches (1, 2, 2) → packed tokens [N, C] ┐
//   caption embeddings of each shot → packed text tokens [T, C], without padding      ┴→ blocks → head → latents
//
// MoGA is the visual attention of its blocks (block.h). The paper's authors have published no config and no names of
// weights: config.json and the names are ours. They follow Wan2.1's where the structure does (patch_embedding,
// text_embedding.0, time_embedding.0, time_projection.1, blocks.0.self_attn.q, head.head); blocks.0.cross_attn is the
// video stream's part of joint attention, and the text stream is text_time_projection and blocks.0.text.
//
// It is not given images or frames, and ranks cannot share a video. The interface is video_model.h.
#pragma once

#include <torch/nn/modules/container/modulelist.h>

#include <filesystem>
#include <optional>

#include "moga/model/family.h"
#include "moga/model/layers/patch.h"
#include "moga/model/layers/timestep.h"
#include "moga/model/layers/weight_places.h"
#include "moga/model/mmdit/block.h"

namespace moga {

// The keys of config.json and a section "moga". The defaults are the paper's M = 20 and 4 × 4 windows at the width and
// depth of Wan2.1-1.3B: the paper does not give its model's.
struct MmditConfig : VideoModelConfig {
  int64_t num_attention_heads = 12;  // H
  int64_t attention_head_dim = 128;  // D; C = H·D
  int64_t in_channels = 16;          // C_z
  int64_t text_dim = 4096;
  int64_t freq_dim = 256;  // sinusoid of the timestep
  int64_t ffn_dim = 6144;  // of both streams
  int64_t num_layers = 30;
  double eps = 1e-6;
  std::vector<int64_t> patch_size = {1, 2, 2};
  int64_t text_len = 512;  // most text tokens per caption
  JointScope joint = JointScope::kShot;
  VisualAttentionConfig moga;

  MmditConfig() {
    moga.groups = 20;
    moga.windows.rows = moga.windows.columns = 4;
  }
  int64_t width() const { return num_attention_heads * attention_head_dim; }

  const char* class_name() const override { return "MogaMMDiTTransformer3DModel"; }
  const char* codec_class() const override { return "AutoencoderKLWan"; }
  std::unique_ptr<VideoModelConfig> clone() const override { return std::make_unique<MmditConfig>(*this); }
  std::shared_ptr<VideoModel> build(bool initialise) const override;
  void apply(const std::vector<std::string>& settings, const std::string& source) override;
  void validate() const override;
  void read_tree(const config_detail::Node& table, const config_detail::Source& source) override;
  config_detail::Node tree() const override;
  int64_t latent_channels() const override { return in_channels; }
  Strides patch() const override { return {patch_size[0], patch_size[1], patch_size[2]}; }
  Conditioning conditioning() const override { return {.text_tokens = text_len, .text_dim = text_dim}; }
  ModelShape shape() const override;
  const VisualAttentionConfig& attention() const override { return moga; }
  VisualAttentionConfig& attention() override { return moga; }
  void set_layers(int64_t layers) override { num_layers = layers; }
  void check_sequence_ranks(int64_t ranks) const override;  // joint attention needs all tokens of a shot on one rank
  template <class Fields>
  void fields(Fields& field) {
    field("num_attention_heads", num_attention_heads, "attention heads H");
    field("attention_head_dim", attention_head_dim, "head size D");
    field("in_channels", in_channels, "latent channels");
    field("text_dim", text_dim, "width of the text encoder");
    field("freq_dim", freq_dim, "size of the timestep's sinusoid");
    field("ffn_dim", ffn_dim, "width of the feed-forward layers of both streams");
    field("num_layers", num_layers, "transformer blocks");
    field("eps", eps, "epsilon of the norms");
    field("patch_size", patch_size, "patch (frames, rows, columns)");
    field("text_len", text_len, "most text tokens per caption");
    field("joint", joint, "what joint attention of text and video covers");
    field("moga", moga, "visual attention");
  }
};

class MmditImpl : public VideoModel {
 public:
  explicit MmditImpl(const MmditConfig& config, bool initialise = true);
  VideoModelOutput forward(const VideoModelInput& input, at::ScalarType dtype) override;
  const MmditConfig& config() const override { return config_; }

  void initialise() override;
  void initialise_routers();  // N(0, 0.02²), bias 0: near indifference
  void fill_head() override;
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
  // What depends on the layout and the captions' lengths alone: kept while they stay the same (the steps of a sampler).
  struct LayoutTables {
    at::Device device;
    at::ScalarType dtype;
    std::vector<int64_t> text_lengths;
    at::Tensor text_index;  // rows of the padded captions that are text tokens; undefined: all of them
    Segments segments, text_segments;
    at::Tensor rotary;
    JointGroups joint;
    StaticGroupings groupings;
  };
  LayoutTables make_tables(const VideoModelInput& input, const std::vector<int64_t>& text_lengths,
                           at::ScalarType dtype) const;
  const LayoutTables& tables(const VideoModelInput& input, at::ScalarType dtype);
  void check_input(const VideoModelInput& input) const;

  MmditConfig config_;
  std::optional<LayoutTables> tables_;
  PatchEmbedding patch_embedding_{nullptr};
  Mlp text_embedding_{nullptr}, time_embedding_{nullptr};
  TimeProjection time_projection_{nullptr}, text_time_projection_{nullptr};
  torch::nn::ModuleList blocks_;
  WeightPlaces places_;
  RecomputeConfig recompute_;
  Head head_{nullptr};
};
TORCH_MODULE(Mmdit);

MmditConfig load_mmdit_config(const std::filesystem::path& path);

// A folder with config.json and safetensors. Throws when a tensor is missing, has another shape or is not the model's;
// missing routers are reported in the log and initialised. Scaled 8-bit weights stay as they are.
Mmdit load_mmdit(const std::filesystem::path& folder, const VideoModelLoad& how);
FileFit mmdit_file_fit(const std::filesystem::path& folder, const std::vector<std::string>& settings);

}  // namespace moga
