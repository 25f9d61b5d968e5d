// The figures of the paper that follow from shapes (docs/design.md, section 2).
#include "moga/attention/cost.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "tests/support/error.h"

namespace moga::test {
namespace {

Layout video(int64_t frames) { return {{{frames, 30, 52, {}}}}; }  // 480p

VisualAttentionConfig moga_config(int64_t run_frames) {
  VisualAttentionConfig config;
  config.windows = {2, 2, run_frames, 0};
  return config;
}

VisualAttentionConfig full_config() {
  VisualAttentionConfig config;
  config.kind = AttentionKind::kFull;
  return config;
}

TEST(Cost, TenSecondsHaveThePapersSparsity) {
  EXPECT_NEAR(sparsity(video(40), moga_config(10)), 0.7125, 1e-12);
  EXPECT_EQ(sparsity(video(40), full_config()), 0.0);
}

TEST(Cost, PairsAreThoseOfTheGroupings) {
  const Layout layout{{{7, 5, 4, {3, 4}}, {2, 3, 3, {}}}};
  VisualAttentionConfig config;
  config.windows = {2, 2, 2, 2};
  const StaticGroupings groupings = static_groupings(layout, config, at::kCPU);
  const auto pairs = [](const Grouping& grouping) {
    double sum = 0;
    for (int64_t g = 0; g < grouping.groups(); ++g)
      sum += double(grouping.query.lengths[g]) * double(grouping.key.lengths[g]);
    return sum;
  };
  const PairCount count = count_pairs(layout, config);
  EXPECT_EQ(count.window, pairs(*groupings.window));
  EXPECT_EQ(count.frame, pairs(*groupings.frame));
  EXPECT_EQ(count.full, pairs(full_groups(layout, at::kCPU)));
  EXPECT_EQ(count.routed, count.full / 5);
  EXPECT_EQ(count.total, count.routed + count.window + count.frame);
}

TEST(Cost, MeetsThePapersFigures) {
  const ModelShape wan;  // Wan2.1-1.3B
  EXPECT_NEAR(forward_cost(wan, video(40), full_config()).total() / 1e15, 0.88, 0.88 * 0.01);
  EXPECT_NEAR(forward_cost(wan, video(120), full_config()).total() / 1e15, 6.94, 6.94 * 0.01);
  EXPECT_NEAR(forward_cost(wan, video(120), moga_config(30)).total() / 1e15, 2.26, 2.26 * 0.02);
}

TEST(Cost, FullLayersAreCountedAsFull) {
  VisualAttentionConfig config = moga_config(10);
  ModelShape wan;
  const ForwardCost own = forward_cost(wan, video(40), config), full = forward_cost(wan, video(40), full_config());
  config.full_layers = {0, 1, 29};
  const ForwardCost mixed = forward_cost(wan, video(40), config);
  EXPECT_NEAR(mixed.full, 0.1 * full.full, 1e-9 * full.full);
  EXPECT_NEAR(mixed.total(), 0.9 * own.total() + 0.1 * full.total(), 1e-9 * own.total());
  wan.layers = 2;
  EXPECT_EQ(error_of([&] { forward_cost(wan, video(40), config); }), "full_layers names 3 layers, the model has 2");
}

// C = 4, 2 layers, 2 shots of 1 and 2 frames of 6 tokens, 3 text tokens each, full visual attention: by hand.
TEST(Cost, TwoStreamsAreCountedWithTheirJointAttention) {
  ModelShape shape{.layers = 2,
                   .heads = 1,
                   .head_dim = 4,
                   .ffn = 8,
                   .patch_in = 5,
                   .patch_out = 7,
                   .text_tokens = 3,
                   .text_dim = 10,
                   .freq_dim = 2,
                   .joint = JointScope::kShot};
  const Layout layout{{{3, 2, 3, {1, 2}}}};  // 18 video tokens, 6 text tokens
  const double block = (8 * 16 + 2 * 4 * 8) * 18, text = (4 * 16 + 2 * 4 * 8) * 6, last_text = 2 * 16 * 6;
  const double outside = 4 * (5 + 7) * 18 + (10 * 4 + 16) * 6 + (2 * 4 + 16 + 15 * 16);
  ForwardCost cost = forward_cost(shape, layout, full_config());
  EXPECT_EQ(cost.products, 2 * (2 * block + text + last_text + outside));
  EXPECT_EQ(cost.full, 2 * 16 * 18 * 18);
  EXPECT_EQ(cost.text, 16 * ((9 * 9 + 15 * 15) + (6 * 9 + 12 * 15)));  // the last block has no text queries
  shape.joint = JointScope::kFrame;
  cost = forward_cost(shape, layout, full_config());
  EXPECT_EQ(cost.text, 16 * (2 * 18 * 9 + 3 * 9 + 3 * 15));
  shape.layers = 1;
  EXPECT_EQ(forward_cost(shape, layout, full_config()).text, 16 * 18 * 9);
}

TEST(Cost, ABlockIsALayersShare) {
  ModelShape wan;
  const ForwardCost block = block_cost(wan, video(40), moga_config(10)), two = [&] {
    wan.layers = 2;
    return forward_cost(wan, video(40), moga_config(10));
  }();
  wan.layers = 3;
  const ForwardCost three = forward_cost(wan, video(40), moga_config(10));
  EXPECT_NEAR(three.total() - two.total(), block.total(), 1e-9 * block.total());
  EXPECT_EQ(block.with_backward(), 3.5 * (block.visual() + block.text) + 3 * block.products);
}

TEST(Cost, BranchesThatAreOffCostNothing) {
  VisualAttentionConfig config = moga_config(10);
  config.window = config.routed = false;
  const ForwardCost cost = forward_cost({}, video(40), config);
  EXPECT_EQ(cost.window + cost.routed + cost.full, 0);
  EXPECT_EQ(cost.visual(), cost.frame);
  EXPECT_NEAR(sparsity(video(40), config), 1 - 1.0 / 40, 1e-12);
}

}  // namespace
}  // namespace moga::test
