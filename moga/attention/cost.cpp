// Query-key pairs and floating point operations from shapes alone. The paper's figures (docs/design.md, section 2)
// follow: Wan2.1-1.3B over 62,400 tokens 0.88 PFLOP, over 187,200 tokens 6.94.
#include "moga/attention/cost.h"

#include "moga/core/check.h"

namespace moga {
namespace {

void add_blocks(ForwardCost& cost, const ForwardCost& block, double blocks) {
  for (double ForwardCost::*part : {&ForwardCost::full, &ForwardCost::routed, &ForwardCost::window, &ForwardCost::frame,
                                    &ForwardCost::text, &ForwardCost::products})
    cost.*part += blocks * (block.*part);
}

struct TextCost {
  double pairs = 0;     // of the block's text or joint attention
  double products = 0;  // parameters · rows of its weights for text tokens
};

// `last`: the last block with a text stream makes keys and values of it alone.
TextCost text_cost(const ModelShape& model, const Layout& layout, bool last = false) {
  const double width = static_cast<double>(model.width());
  const double seen = static_cast<double>(model.text_tokens + model.image_tokens);
  const double rows = seen * static_cast<double>(layout.shots());
  if (!model.joint) return {static_cast<double>(layout.tokens()) * seen, 2 * width * width * rows};
  const JointPairs pairs = count_joint_pairs(layout, model.text_tokens, *model.joint);
  if (last) return {pairs.video, 2 * width * width * rows};
  return {pairs.video + pairs.text, (4 * width * width + 2 * width * model.ffn) * rows};
}

}  // namespace

PairCount count_pairs(const Layout& layout, const VisualAttentionConfig& config) {
  layout.validate();
  config.validate();
  PairCount pairs;
  for (const VideoShape& video : layout.videos) {
    const double tokens = static_cast<double>(video.tokens()), frame = static_cast<double>(video.frame_tokens());
    pairs.full += tokens * tokens;
    pairs.routed += tokens * tokens / static_cast<double>(config.groups);
    pairs.frame += tokens * frame;
    if (config.kind == AttentionKind::kMoga && config.window)
      for (const Window& window : windows_of(video, config.windows))
        pairs.window += static_cast<double>(window.queries()) * static_cast<double>(window.keys());
  }
  if (config.kind == AttentionKind::kFull)
    pairs.total = pairs.full;
  else
    pairs.total = config.routed * pairs.routed + config.window * pairs.window + config.frame * pairs.frame;
  return pairs;
}

double sparsity(const Layout& layout, const VisualAttentionConfig& config) {
  const PairCount pairs = count_pairs(layout, config);
  return 1.0 - pairs.total / pairs.full;
}

ForwardCost block_cost(const ModelShape& model, const Layout& layout, const VisualAttentionConfig& config) {
  const PairCount pairs = count_pairs(layout, config);
  const double width = static_cast<double>(model.width()), tokens = static_cast<double>(layout.tokens());
  const TextCost text = text_cost(model, layout);
  const double pair = 4 * width;
  ForwardCost cost;
  if (config.kind == AttentionKind::kFull) {
    cost.full = pair * pairs.full;
  } else {
    cost.routed = config.routed ? pair * pairs.routed : 0;
    cost.window = config.window ? pair * pairs.window : 0;
    cost.frame = config.frame ? pair * pairs.frame : 0;
  }
  cost.text = pair * text.pairs;

  const double router = config.uses_router() ? static_cast<double>(config.groups) * width : 0;
  // q, k, v, o of visual attention; q and o of text attention, or all four of joint attention; feed-forward
  const double squares = model.joint ? 8 : 6;
  const double token_parameters = squares * width * width + 2 * width * model.ffn + router;
  cost.products = 2 * (token_parameters * tokens + text.products);
  return cost;
}

ForwardCost forward_cost(const ModelShape& model, const Layout& layout, const VisualAttentionConfig& config) {
  const double layers = static_cast<double>(model.layers), width = static_cast<double>(model.width());
  const double tokens = static_cast<double>(layout.tokens());
  const double text_tokens = static_cast<double>(model.text_tokens * layout.shots());
  const double videos = static_cast<double>(layout.videos.size());
  const double full_layers =
      config.kind == AttentionKind::kFull ? layers : static_cast<double>(config.full_layers.size());
  check(full_layers <= layers, "full_layers names ", full_layers, " layers, the model has ", layers);
  ForwardCost cost;
  add_blocks(cost, block_cost(model, layout, config), layers - full_layers);
  add_blocks(cost, block_cost(model, layout, config.with_kind(AttentionKind::kFull)), full_layers);
  if (model.joint) {
    const TextCost whole = text_cost(model, layout), last = text_cost(model, layout, /*last=*/true);
    cost.text -= 4 * width * (whole.pairs - last.pairs);
    cost.products -= 2 * (whole.products - last.products);
  }
  const double token_parameters = width * (model.patch_in + model.patch_out);
  const double text_parameters = model.text_dim * width + width * width;
  const double image_tokens = static_cast<double>(model.image_tokens * layout.shots());
  const double image_parameters = static_cast<double>(model.image_dim) * (width + static_cast<double>(model.image_dim));
  const double vectors = model.joint ? 15 : 6;  // of the modulation: nine and six with two streams
  const double video_parameters = model.freq_dim * width + (1 + vectors) * width * width;  // time embedding, projection
  cost.products += 2 * (token_parameters * tokens + text_parameters * text_tokens + image_parameters * image_tokens +
                        video_parameters * videos);
  return cost;
}

}  // namespace moga
