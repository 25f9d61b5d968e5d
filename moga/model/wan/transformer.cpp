// See transformer.h. Reading and writing is transformer_io.cpp.
#include "moga/model/wan/transformer.h"

#include <numeric>

#include "moga/core/check.h"
#include "moga/core/interrupt.h"
#include "moga/model/layers/limits.h"
#include "moga/model/layers/rope.h"
#include "moga/model/packed_input.h"
#include "moga/parallel/gather_rows.h"

namespace moga {
namespace {

PatchSize patch_of(const TransformerConfig& config) {
  return {.rows = config.patch_size[1], .columns = config.patch_size[2]};
}

BlockConfig block_config(const TransformerConfig& config, int64_t layer) {
  return {.heads = config.num_attention_heads,
          .head_dim = config.attention_head_dim,
          .ffn_dim = config.ffn_dim,
          .cross_attn_norm = config.cross_attn_norm,
          .qk_norm = !config.qk_norm.empty(),
          .image = config.added_kv_proj_dim.has_value(),
          .eps = config.eps,
          .layer = layer,
          .moga = config.moga.of_layer(layer)};
}

struct BlockContexts {
  LocalContext local;
  GlobalContext global;
};

BlockOutput run_block(BlockRunner& runner, int64_t layer, const std::shared_ptr<torch::nn::Module>& module,
                      const BlockInput& input, const std::shared_ptr<const BlockContexts>& contexts) {
  const auto function = [module, contexts](const std::vector<at::Tensor>& inputs, const BlockRun& run) {
    const BlockOutput output = module->as<BlockImpl>()->forward({.x = inputs[0],
                                                                 .modulation = inputs[1],
                                                                 .text = inputs[2],
                                                                 .image = inputs.size() > 3 ? inputs[3] : at::Tensor()},
                                                                contexts->local, contexts->global, run);
    return std::vector<at::Tensor>{output.x, output.balance_loss, output.group_histogram, output.gate_sum};
  };
  std::vector<at::Tensor> inputs = {input.x, input.modulation, input.text};
  if (input.image.defined()) inputs.push_back(input.image);
  const auto outputs = runner.run(layer, *module, function, inputs);
  return {.x = outputs[0], .balance_loss = outputs[1], .group_histogram = outputs[2], .gate_sum = outputs[3]};
}

// Latents and condition of each video as the patch embedding reads them.
std::vector<at::Tensor> with_condition(const VideoModelInput& input) {
  if (input.condition.empty()) return input.latents;
  std::vector<at::Tensor> videos;
  for (size_t video = 0; video < input.latents.size(); ++video)
    videos.push_back(at::cat({input.latents[video], input.condition[video].to(input.latents[video].options())}));
  return videos;
}

int64_t sum_of(const std::vector<int64_t>& counts, int64_t first, int64_t number) {
  return std::accumulate(counts.begin() + first, counts.begin() + first + number, int64_t{0});
}

// The rows of each vector, in order.
std::vector<int64_t> rows_of_vectors(const Segments& segments) {
  std::vector<int64_t> rows;
  for (const Segment& segment : segments) rows.insert(rows.end(), segment.vectors, segment.rows);
  return rows;
}

}  // namespace

void TransformerConfig::validate() const {
  check(num_attention_heads > 0 && num_layers > 0 && in_channels > 0 && out_channels > 0 && text_dim > 0 &&
            ffn_dim > 0 && text_len > 0,
        "transformer: every size must be positive");
  for (const int64_t side :
       {num_attention_heads, attention_head_dim, in_channels, out_channels, text_dim, freq_dim, ffn_dim})
    check(side <= kMostSide, "transformer: a size is ", side, ", expected at most ", kMostSide);
  check(width() <= kMostSide, "transformer: width is ", width(), ", expected at most ", kMostSide);
  check(num_layers <= kMostLayers, "transformer: num_layers is ", num_layers, ", expected at most ", kMostLayers);
  check(attention_head_dim >= 6 && attention_head_dim % 2 == 0, "transformer: attention_head_dim is ",
        attention_head_dim, ", must be even and at least 6 (three axes of the rotary embedding)");
  check(freq_dim > 0 && freq_dim % 2 == 0, "transformer: freq_dim is ", freq_dim, ", must be even");
  check(in_channels >= out_channels, "transformer: in_channels is ", in_channels,
        ", expected at least out_channels = ", out_channels);
  check(image_dim.has_value() == added_kv_proj_dim.has_value(), "transformer: image_dim and added_kv_proj_dim belong ",
        "together, found one of them");
  check(!image_dim || (*image_dim > 0 && *image_dim <= kMostSide), "transformer: image_dim is ", image_dim.value_or(0),
        ", expected 1 to ", kMostSide);
  check(!added_kv_proj_dim || *added_kv_proj_dim == width(), "transformer: added_kv_proj_dim is ",
        added_kv_proj_dim.value_or(0), ", expected the width, ", width());
  check(!pos_embed_seq_len || (image_dim && *pos_embed_seq_len > 0 && *pos_embed_seq_len <= kMostSide),
        "transformer: pos_embed_seq_len is ", pos_embed_seq_len.value_or(0),
        ", expected a model with image_dim and 1 to ", kMostSide);
  check(qk_norm.empty() || qk_norm == "rms_norm_across_heads", "transformer: qk_norm is '", qk_norm,
        "', must be rms_norm_across_heads or empty");
  check(patch_size.size() == 3 && patch_size[0] == 1 && patch_size[1] > 0 && patch_size[2] > 0 &&
            patch_size[1] <= kMostPatchSide && patch_size[2] <= kMostPatchSide,
        "transformer: patch_size must be three numbers (1, rows, columns)");
  moga.validate();
  for (const int64_t layer : moga.full_layers)
    check(layer < num_layers, "transformer: full_layers has ", layer, ", the blocks are 0 to ", num_layers - 1);
}

std::shared_ptr<VideoModel> TransformerConfig::build(bool initialise) const {
  return std::make_shared<TransformerImpl>(*this, initialise);
}

Conditioning TransformerConfig::conditioning() const {
  return {.text_tokens = text_len,
          .text_dim = text_dim,
          .channels = in_channels - out_channels,
          .image_dim = image_dim.value_or(0),
          .image_tokens = pos_embed_seq_len.value_or(0)};
}

ModelShape TransformerConfig::shape() const {
  constexpr int64_t kVitTokens = 257;  // of one image in ViT-H/14, the encoder of all published models
  const int64_t patch = patch_size[0] * patch_size[1] * patch_size[2];
  return {.layers = num_layers,
          .heads = num_attention_heads,
          .head_dim = attention_head_dim,
          .ffn = ffn_dim,
          .patch_in = in_channels * patch,
          .patch_out = out_channels * patch,
          .text_tokens = text_len,
          .text_dim = text_dim,
          .freq_dim = freq_dim,
          .image_tokens = image_dim ? pos_embed_seq_len.value_or(kVitTokens) : 0,
          .image_dim = image_dim.value_or(0)};
}

TransformerImpl::TransformerImpl(const TransformerConfig& config, bool initialise) : config_(config) {
  config.validate();
  const int64_t width = config.width();
  const PatchSize patch = patch_of(config);
  patch_embedding_ = register_module("patch_embedding", PatchEmbedding(config.in_channels, width, patch));
  text_embedding_ = register_module("text_embedding", Mlp(config.text_dim, width, width, Activation::kGeluTanh));
  time_embedding_ = register_module("time_embedding", Mlp(config.freq_dim, width, width, Activation::kSilu));
  if (config.image_dim)
    img_emb_ =
        register_module("img_emb", ImageEmbedding(*config.image_dim, width, config.pos_embed_seq_len.value_or(0)));
  time_projection_ = register_module("time_projection", TimeProjection(width));
  blocks_ = register_module("blocks", torch::nn::ModuleList());
  for (int64_t layer = 0; layer < config.num_layers; ++layer) blocks_->push_back(Block(block_config(config, layer)));
  head_ = register_module("head", Head(width, config.out_channels * patch.area(), config.eps));
  if (initialise) this->initialise();
}

void TransformerImpl::initialise() {
  patch_embedding_->initialise();
  for (Mlp* embedding : {&text_embedding_, &time_embedding_}) {
    (*embedding)->first->fill_normal(0.02);
    (*embedding)->second->fill_normal(0.02);
  }
  if (img_emb_) img_emb_->initialise();
  time_projection_->projection->fill_xavier();
  for (const auto& block : *blocks_) block->as<BlockImpl>()->initialise();
  head_->initialise();
}

void TransformerImpl::initialise_routers() {
  for (const auto& block : *blocks_) block->as<BlockImpl>()->initialise_router();
}

void TransformerImpl::fill_head() {
  const at::NoGradGuard no_grad;
  head_->head->weight.normal_(0.0, 0.02);
}

void TransformerImpl::set_recompute(const RecomputeConfig& config) {
  config.validate();
  recompute_ = config;
}

void TransformerImpl::check_input(const VideoModelInput& input) const {
  check_packed_input(config_, input);
  check_condition(input);
  check_image(input);
}

void TransformerImpl::check_condition(const VideoModelInput& input) const {
  const int64_t channels = config_.conditioning().channels;
  const size_t expected = channels > 0 ? input.latents.size() : 0;
  check(input.condition.size() == expected, "transformer: conditions of ", input.condition.size(), " videos, expected ",
        expected, channels > 0 ? "" : ": this model takes no images");
  for (size_t video = 0; video < expected; ++video) {
    std::vector<int64_t> shape = input.latents[video].sizes().vec();
    shape[0] = channels;
    check(input.condition[video].sizes() == shape, "transformer: condition ", video, " is ",
          input.condition[video].sizes(), ", expected ", at::IntArrayRef(shape));
  }
}

void TransformerImpl::check_image(const VideoModelInput& input) const {
  const ImageTokens& image = input.image;
  if (!image.rows.defined()) return;
  const Conditioning wanted = config_.conditioning();
  check(wanted.image_dim > 0, "transformer: this model sees no embeddings of images, found ", image.rows.sizes());
  const auto shots = static_cast<int64_t>(image.counts.size());
  check(shots == input.layout.shots() && image.rows.dim() == 2 &&
            image.rows.size(0) == sum_of(image.counts, 0, shots) && image.rows.size(1) == wanted.image_dim,
        "transformer: image tokens ", image.rows.sizes(), " for ", shots, " shots, expected [tokens of ",
        input.layout.shots(), " shots, ", wanted.image_dim, "]");
  for (const int64_t count : image.counts)
    check(count == 0 || wanted.image_tokens == 0 || count == wanted.image_tokens, "transformer: a shot has ", count,
          " image tokens, expected ", wanted.image_tokens, ", those of a first and a last frame");
}

TransformerImpl::LayoutTables TransformerImpl::whole_tables(const VideoModelInput& input, at::ScalarType dtype) const {
  const at::Device device = input.text.device();
  const std::vector<int64_t> text_lengths(input.layout.shots(), input.text.size(1));
  return {
      .device = device,
      .dtype = wide(dtype),
      .text_tokens = input.text.size(1),
      .ranks = nullptr,
      .given_frames = input.given_frames,
      .timesteps = frame_timesteps(input.layout, input.given_frames, device),
      .first_shot = 0,
      .shots = input.layout.shots(),
      .rotary = rotary_table(input.layout, config_.attention_head_dim, device, wide(dtype)),
      .text_groups = text_groups(input.layout, text_lengths, device),
      .image_counts = input.image.counts,
      .first_image = 0,
      .image_rows = input.image.rows.defined() ? input.image.rows.size(0) : 0,
      .image_groups = input.image.rows.defined() ? text_groups(input.layout, input.image.counts, device) : Grouping(),
      .groupings = static_groupings(input.layout, config_.moga, device),
      .over_ranks = nullptr};
}

TransformerImpl::LayoutTables TransformerImpl::slice_tables(const VideoModelInput& input, at::ScalarType dtype) const {
  const Layout& layout = input.layout;
  const int64_t ranks = input.sequence.size();
  check(layout.tokens() >= ranks, "transformer: ", layout.tokens(), " tokens cannot be shared by ", ranks, " ranks");
  const at::Device device = input.text.device();
  const auto attention = std::make_shared<const SequenceAttention>(
      input.sequence, layout, config_.num_attention_heads, sequence_slices(layout, ranks), config_.moga, device);
  const int64_t first = attention->first_row(), rows = attention->rows();
  const Segments shots = slice_of(shot_segments(layout), first, rows);
  const int64_t first_shot = shots.front().first_vector, shot_count = shots.back().end_vector() - first_shot;
  const std::vector<int64_t>& counts = input.image.counts;
  const int64_t first_image = counts.empty() ? 0 : sum_of(counts, 0, first_shot);
  const int64_t image_rows = counts.empty() ? 0 : sum_of(counts, first_shot, shot_count);
  FrameTimesteps timesteps = frame_timesteps(layout, input.given_frames, device);
  timesteps.segments = slice_of(timesteps.segments, first, rows);
  Grouping image_groups;
  if (image_rows > 0)
    image_groups = {make_rows(rows_of_vectors(shots), {}, device),
                    make_rows({counts.begin() + first_shot, counts.begin() + first_shot + shot_count}, {}, device)};
  return {
      .device = device,
      .dtype = wide(dtype),
      .text_tokens = input.text.size(1),
      .ranks = input.sequence.state(),
      .given_frames = input.given_frames,
      .timesteps = timesteps,
      .first_shot = first_shot,
      .shots = shot_count,
      .rotary = rotary_table(layout, config_.attention_head_dim, device, wide(dtype)).narrow(0, first, rows).clone(),
      .text_groups = {make_rows(rows_of_vectors(shots), {}, device),
                      make_rows(std::vector<int64_t>(shot_count, input.text.size(1)), {}, device)},
      .image_counts = counts,
      .first_image = first_image,
      .image_rows = image_rows,
      .image_groups = image_groups,
      .groupings = {.layout = layout, .full = {}, .window = {}, .frame = {}},
      .over_ranks = attention};
}

const TransformerImpl::LayoutTables& TransformerImpl::tables(const VideoModelInput& input, at::ScalarType dtype) {
  const bool spread = input.sequence.size() > 1;
  const bool current = tables_ && tables_->device == input.text.device() && tables_->dtype == wide(dtype) &&
                       tables_->text_tokens == input.text.size(1) && tables_->groupings.layout == input.layout &&
                       tables_->image_counts == input.image.counts && tables_->given_frames == input.given_frames &&
                       tables_->ranks == (spread ? input.sequence.state() : nullptr);
  if (!current) {
    const c10::InferenceMode ordinary(false);  // tables made while sampling serve training as well
    tables_ = spread ? slice_tables(input, dtype) : whole_tables(input, dtype);
  }
  return *tables_;
}

VideoModelOutput TransformerImpl::forward(const VideoModelInput& input, at::ScalarType dtype) {
  check_input(input);
  const LayoutTables& shared = tables(input, dtype);
  const PatchSize patch = patch_of(config_);

  const at::Tensor sinusoid = timestep_sinusoid(shared.timesteps.of(input.timestep), config_.freq_dim).to(wide(dtype));
  const at::Tensor embedding = time_embedding_(sinusoid);  // [V, C]
  const auto contexts =
      std::make_shared<const BlockContexts>(BlockContexts{.local = {.segments = shared.timesteps.segments,
                                                                    .rotary = shared.rotary,
                                                                    .text_groups = shared.text_groups,
                                                                    .image_groups = shared.image_groups},
                                                          .global = {.groupings = shared.groupings,
                                                                     .full_attention = input.full_attention,
                                                                     .observer = input.observer,
                                                                     .over_ranks = shared.over_ranks}});
  at::Tensor patches = patchify(with_condition(input), patch, dtype), text = input.text;
  if (shared.over_ranks) {
    patches = patches.narrow(0, shared.over_ranks->first_row(), shared.over_ranks->rows());
    text = text.narrow(0, shared.first_shot, shared.shots);
  }
  BlockInput block_input = {.x = patch_embedding_(patches),
                            .modulation = time_projection_(embedding),
                            .text = text_embedding_(text.to(dtype)).flatten(0, 1)};

  if (shared.image_rows > 0)  // learned positions are those of a whole shot, so a slice is taken after them
    block_input.image = img_emb_(input.image.rows, dtype).narrow(0, shared.first_image, shared.image_rows);

  BlockRunner runner(recompute_, config_.num_layers, places_.blocks());
  std::vector<at::Tensor> balance, histogram, gate;
  for (int64_t layer = 0; layer < config_.num_layers; ++layer) {
    stop_inside_if_interrupted();
    const BlockOutput output = run_block(runner, layer, blocks_[layer], block_input, contexts);
    block_input.x = output.x;
    if (output.balance_loss.defined()) {
      balance.push_back(output.balance_loss);
      histogram.push_back(output.group_histogram.sum(0));
      gate.push_back(output.gate_sum);
    }
  }

  VideoModelOutput result;
  at::Tensor rows = head_(block_input.x, embedding, shared.timesteps.segments).to(wide(dtype));
  if (shared.over_ranks) rows = gather_rows(input.sequence, rows, shared.over_ranks->plan().slice_rows());
  result.velocity = unpatchify(rows, input.layout, patch);
  if (!balance.empty()) {
    result.balance_loss = at::stack(balance).mean() * config_.moga.balance_weight;
    result.group_histogram = at::stack(histogram);
    result.gate_sum = at::stack(gate);
  }
  return result;
}

}  // namespace moga
