// See transformer.h. Reading and writing is transformer_io.cpp.
#include "moga/model/mmdit/transformer.h"

#include <algorithm>
#include <numeric>

#include "moga/core/check.h"
#include "moga/core/interrupt.h"
#include "moga/model/layers/limits.h"
#include "moga/model/layers/rope.h"
#include "moga/model/packed_input.h"

namespace moga {
namespace {

PatchSize patch_of(const MmditConfig& config) {
  return {.rows = config.patch_size[1], .columns = config.patch_size[2]};
}

MmditBlockConfig block_config(const MmditConfig& config, int64_t layer) {
  return {.heads = config.num_attention_heads,
          .head_dim = config.attention_head_dim,
          .ffn_dim = config.ffn_dim,
          .eps = config.eps,
          .layer = layer,
          .last = layer + 1 == config.num_layers,
          .moga = config.moga.of_layer(layer)};
}

MmditBlockOutput run_block(BlockRunner& runner, int64_t layer, const std::shared_ptr<torch::nn::Module>& module,
                           const MmditBlockInput& input, const std::shared_ptr<const MmditContext>& context) {
  const auto function = [module, context](const std::vector<at::Tensor>& inputs, const BlockRun& run) {
    const auto [video, text] = module->as<MmditBlockImpl>()->forward(
        {.x = inputs[0], .text = inputs[1], .modulation = inputs[2], .text_modulation = inputs[3]}, *context, run);
    return std::vector<at::Tensor>{video.x, video.balance_loss, video.group_histogram, video.gate_sum, text};
  };
  const auto outputs =
      runner.run(layer, *module, function, {input.x, input.text, input.modulation, input.text_modulation});
  return {{.x = outputs[0], .balance_loss = outputs[1], .group_histogram = outputs[2], .gate_sum = outputs[3]},
          outputs[4]};
}

// Rows of captions padded to `padded` rows each that are text tokens.
at::Tensor text_rows(const std::vector<int64_t>& lengths, int64_t padded, at::Device device) {
  std::vector<int64_t> rows;
  for (size_t caption = 0; caption < lengths.size(); ++caption)
    for (int64_t i = 0; i < lengths[caption]; ++i) rows.push_back(static_cast<int64_t>(caption) * padded + i);
  return at::tensor(rows, at::kLong).to(device);
}

// One vector per video, over the text tokens of its shots.
Segments text_segments(const Layout& layout, const std::vector<int64_t>& lengths) {
  Segments segments;
  int64_t row = 0;
  auto next = lengths.begin();
  for (const VideoShape& video : layout.videos) {
    const int64_t rows = std::accumulate(next, next + video.shots(), int64_t{0});
    segments.push_back({static_cast<int64_t>(segments.size()), 1, row, rows});
    next += video.shots();
    row += rows;
  }
  return segments;
}

}  // namespace

void MmditConfig::validate() const {
  for (const int64_t size :
       {num_attention_heads, attention_head_dim, in_channels, text_dim, freq_dim, ffn_dim, text_len, width()})
    check(size > 0 && size <= kMostSide, "transformer: a size is ", size, ", expected 1 to ", kMostSide);
  check(num_layers > 0 && num_layers <= kMostLayers, "transformer: num_layers is ", num_layers, ", expected 1 to ",
        kMostLayers);
  check(attention_head_dim >= 6 && attention_head_dim % 2 == 0, "transformer: attention_head_dim is ",
        attention_head_dim, ", must be even and at least 6 (three axes of the rotary embedding)");
  check(freq_dim % 2 == 0, "transformer: freq_dim is ", freq_dim, ", must be even");
  check(patch_size.size() == 3 && patch_size[0] == 1 && patch_size[1] > 0 && patch_size[2] > 0 &&
            patch_size[1] <= kMostPatchSide && patch_size[2] <= kMostPatchSide,
        "transformer: patch_size must be three numbers (1, rows, columns)");
  moga.validate();
  for (const int64_t layer : moga.full_layers)
    check(layer < num_layers, "transformer: full_layers has ", layer, ", the blocks are 0 to ", num_layers - 1);
}

void MmditConfig::check_sequence_ranks(int64_t ranks) const {
  check(ranks == 1, class_name(), ": ", ranks,
        " ranks cannot share a video, expected 1: joint attention needs all tokens of a shot on one rank");
}

std::shared_ptr<VideoModel> MmditConfig::build(bool initialise) const {
  return std::make_shared<MmditImpl>(*this, initialise);
}

ModelShape MmditConfig::shape() const {
  const int64_t values = in_channels * patch_size[0] * patch_size[1] * patch_size[2];
  return {.layers = num_layers,
          .heads = num_attention_heads,
          .head_dim = attention_head_dim,
          .ffn = ffn_dim,
          .patch_in = values,
          .patch_out = values,
          .text_tokens = text_len,
          .text_dim = text_dim,
          .freq_dim = freq_dim,
          .joint = joint};
}

MmditImpl::MmditImpl(const MmditConfig& config, bool initialise) : config_(config) {
  config.validate();
  const int64_t width = config.width();
  const PatchSize patch = patch_of(config);
  patch_embedding_ = register_module("patch_embedding", PatchEmbedding(config.in_channels, width, patch));
  text_embedding_ = register_module("text_embedding", Mlp(config.text_dim, width, width, Activation::kGeluTanh));
  time_embedding_ = register_module("time_embedding", Mlp(config.freq_dim, width, width, Activation::kSilu));
  time_projection_ = register_module("time_projection", TimeProjection(width, kVideoVectors));
  text_time_projection_ = register_module("text_time_projection", TimeProjection(width, kTextVectors));
  blocks_ = register_module("blocks", torch::nn::ModuleList());
  for (int64_t layer = 0; layer < config.num_layers; ++layer)
    blocks_->push_back(MmditBlock(block_config(config, layer)));
  head_ = register_module("head", Head(width, config.in_channels * patch.area(), config.eps));
  if (initialise) this->initialise();
}

void MmditImpl::initialise() {
  patch_embedding_->initialise();
  for (Mlp* embedding : {&text_embedding_, &time_embedding_}) {
    (*embedding)->first->fill_normal(0.02);
    (*embedding)->second->fill_normal(0.02);
  }
  for (TimeProjection* projection : {&time_projection_, &text_time_projection_})
    (*projection)->projection->fill_xavier();
  for (const auto& block : *blocks_) block->as<MmditBlockImpl>()->initialise();
  head_->initialise();
}

void MmditImpl::initialise_routers() {
  for (const auto& block : *blocks_) block->as<MmditBlockImpl>()->initialise_router();
}

void MmditImpl::fill_head() {
  const at::NoGradGuard no_grad;
  head_->head->weight.normal_(0.0, 0.02);
}

void MmditImpl::set_recompute(const RecomputeConfig& config) {
  config.validate();
  recompute_ = config;
}

void MmditImpl::check_input(const VideoModelInput& input) const {
  check_packed_input(config_, input);
  config_.check_sequence_ranks(input.sequence.size());
  check(input.condition.empty() && !input.image.rows.defined(), config_.class_name(),
        ": it takes no images, found those of ", std::max(input.condition.size(), input.image.counts.size()),
        " videos or shots");
  for (const std::vector<int64_t>& frames : input.given_frames)
    check(frames.empty(), config_.class_name(), ": it takes no given frames, found ", frames.size());
}

MmditImpl::LayoutTables MmditImpl::make_tables(const VideoModelInput& input, const std::vector<int64_t>& text_lengths,
                                               at::ScalarType dtype) const {
  const at::Device device = input.text.device();
  const int64_t padded = input.text.size(1);
  const bool all = std::ranges::all_of(text_lengths, [&](int64_t length) { return length == padded; });
  return {.device = device,
          .dtype = wide(dtype),
          .text_lengths = text_lengths,
          .text_index = all ? at::Tensor() : text_rows(text_lengths, padded, device),
          .segments = video_segments(input.layout),
          .text_segments = text_segments(input.layout, text_lengths),
          .rotary = rotary_table(input.layout, config_.attention_head_dim, device, wide(dtype)),
          .joint = joint_groups(input.layout, text_lengths, config_.joint, device),
          .groupings = static_groupings(input.layout, config_.moga, device)};
}

const MmditImpl::LayoutTables& MmditImpl::tables(const VideoModelInput& input, at::ScalarType dtype) {
  std::vector<int64_t> lengths = input.text_lengths;
  if (lengths.empty()) lengths.assign(input.layout.shots(), input.text.size(1));
  const bool current = tables_ && tables_->device == input.text.device() && tables_->dtype == wide(dtype) &&
                       tables_->groupings.layout == input.layout && tables_->text_lengths == lengths;
  if (!current) {
    const c10::InferenceMode ordinary(false);  // tables made while sampling serve training as well
    tables_ = make_tables(input, lengths, dtype);
  }
  return *tables_;
}

VideoModelOutput MmditImpl::forward(const VideoModelInput& input, at::ScalarType dtype) {
  check_input(input);
  const LayoutTables& shared = tables(input, dtype);
  const PatchSize patch = patch_of(config_);

  const at::Tensor sinusoid = timestep_sinusoid(input.timestep, config_.freq_dim).to(wide(dtype));
  const at::Tensor embedding = time_embedding_(sinusoid);  // [B, C]
  const auto context =
      std::make_shared<const MmditContext>(MmditContext{.segments = shared.segments,
                                                        .text_segments = shared.text_segments,
                                                        .rotary = shared.rotary,
                                                        .joint = shared.joint,
                                                        .global = {.groupings = shared.groupings,
                                                                   .full_attention = input.full_attention,
                                                                   .observer = input.observer,
                                                                   .over_ranks = nullptr}});
  at::Tensor text = input.text.flatten(0, 1);
  if (shared.text_index.defined()) text = text.index_select(0, shared.text_index);
  MmditBlockInput block_input = {.x = patch_embedding_(patchify(input.latents, patch, dtype)),
                                 .text = text_embedding_(text.to(dtype)),
                                 .modulation = time_projection_(embedding),
                                 .text_modulation = text_time_projection_(embedding)};

  BlockRunner runner(recompute_, config_.num_layers, places_.blocks());
  std::vector<at::Tensor> balance, histogram, gate;
  for (int64_t layer = 0; layer < config_.num_layers; ++layer) {
    stop_inside_if_interrupted();
    const auto [video, text_stream] = run_block(runner, layer, blocks_[layer], block_input, context);
    block_input.x = video.x;
    block_input.text = text_stream;
    if (video.balance_loss.defined()) {
      balance.push_back(video.balance_loss);
      histogram.push_back(video.group_histogram.sum(0));
      gate.push_back(video.gate_sum);
    }
  }

  VideoModelOutput result;
  const at::Tensor rows = head_(block_input.x, embedding, shared.segments).to(wide(dtype));
  result.velocity = unpatchify(rows, input.layout, patch);
  if (!balance.empty()) {
    result.balance_loss = at::stack(balance).mean() * config_.moga.balance_weight;
    result.group_histogram = at::stack(histogram);
    result.gate_sum = at::stack(gate);
  }
  return result;
}

}  // namespace moga
