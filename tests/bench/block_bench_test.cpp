// The baseline block computes the same function as ours, and the report compares the two.
#include "moga/bench/block_bench.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>

#include "moga/attention/cost.h"
#include "moga/bench/plain_block.h"
#include "moga/model/wan/transformer.h"
#include "tests/support/compare.h"

namespace moga {
namespace {

constexpr int64_t kTextTokens = 5;

TransformerConfig tiny_model() {
  TransformerConfig model;
  model.num_attention_heads = 2;
  model.attention_head_dim = 12;
  model.ffn_dim = 40;
  model.text_len = kTextTokens;
  model.moga.groups = 3;
  return model;
}

VideoShape tiny_video() { return {5, 4, 6, {3, 2}}; }

TEST(PlainBlock, EqualsOurBlockWithFullAttention) {
  TransformerConfig model = tiny_model();
  model.moga.kind = AttentionKind::kFull;
  const std::unique_ptr<BlockWork> made = make_block_work(model, tiny_video(), at::kCPU, at::kFloat);
  auto& work = dynamic_cast<WanBlockWork&>(*made);
  const at::Tensor ours = work.block->forward(work.input, work.local, work.global).x;
  const at::Tensor plain = plain_block(work);
  EXPECT_TRUE(test::close(ours, plain, 1e-5));
  const auto gradient = [&](const at::Tensor& y) { return torch::autograd::grad({y}, {work.input.x}, {work.grad})[0]; };
  EXPECT_TRUE(test::close(gradient(ours), gradient(plain), 1e-5));
}

TEST(BlockBench, ComparesMogaWithFullAttention) {
  const BlockBenchConfig config{tiny_model(), tiny_video()};
  const BenchReport report =
      bench_block(config, {.device = at::kCPU, .dtype = at::kFloat, .meter = {.warm_up = 1, .repeats = 1}});
  ASSERT_EQ(report.rows.size(), 6u);  // plain, ours with full attention, ours; two passes each
  const BenchRow &plain = report.rows[0], &moga = report.rows[4], &training = report.rows[5];
  EXPECT_EQ(*plain.ratio, 1.0);
  EXPECT_EQ(*moga.ratio, plain.measured.seconds / moga.measured.seconds);
  EXPECT_EQ(training.pass, "forward+backward");
  EXPECT_EQ(*training.ratio, report.rows[1].measured.seconds / training.measured.seconds);
  EXPECT_GT(training.measured.peak_bytes, moga.measured.peak_bytes);
  const ModelShape shape{.layers = 1, .heads = 2, .head_dim = 12, .ffn = 40, .text_tokens = kTextTokens};
  EXPECT_EQ(moga.flop, block_cost(shape, Layout{{tiny_video()}}, config.model->attention()).total());
  EXPECT_GT(plain.flop, moga.flop);
}

}  // namespace
}  // namespace moga
