// `moga bench model` runs a whole transformer and counts its arithmetic.
#include "moga/bench/model_bench.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "moga/bench/random_model.h"
#include "moga/bench/shapes.h"
#include "moga/model/wan/transformer.h"
#include "tests/support/error.h"

namespace moga {
namespace {

TransformerConfig small_model(int64_t heads, int64_t layers) {
  TransformerConfig config;
  config.num_attention_heads = heads;
  config.attention_head_dim = 12;
  config.ffn_dim = 40;
  config.num_layers = layers;
  config.text_dim = 16;
  config.text_len = 5;
  return config;
}

TEST(ModelBench, TimesOneEvaluation) {
  ModelBenchConfig config;
  config.video = {5, 4, 6, {3, 2}};
  config.full = config.stream_weights = true;
  config.model = small_model(/*heads=*/2, /*layers=*/2);
  const BenchReport report =
      bench_model(config, {.device = at::kCPU, .dtype = at::kFloat, .meter = {.warm_up = 1, .repeats = 1}});
  ASSERT_EQ(report.rows.size(), 3u);
  EXPECT_EQ(report.rows[1].work, "MoGA");
  EXPECT_EQ(report.rows[2].work, "MoGA, streamed weights");
  EXPECT_EQ(report.rows[2].flop, report.rows[1].flop);
  EXPECT_EQ(report.rows[1].flop,
            forward_cost(config.model->shape(), Layout{{config.video}}, config.model->attention()).total());
  EXPECT_GT(report.rows[0].measured.seconds, 0);
  EXPECT_EQ(report.ratio, "times faster than full");
}

// Models of images are given some, and weights in 8 bits are measured in both ways.
TEST(ModelBench, MeasuresModelsOfImagesAndEightBitWeights) {
  ModelBenchConfig config;
  config.video = {5, 4, 6, {3, 2}};
  config.eight_bit = config.guided = true;
  TransformerConfig model = small_model(/*heads=*/2, /*layers=*/1);
  model.in_channels = 36;
  model.out_channels = 16;
  config.model = model;
  const BenchReport report =
      bench_model(config, {.device = at::kCPU, .dtype = at::kFloat, .meter = {.warm_up = 0, .repeats = 1}});
  ASSERT_EQ(report.rows.size(), 3u);
  EXPECT_EQ(report.rows[1].work, "MoGA, 8-bit weights");
  EXPECT_EQ(report.rows[2].work, "MoGA, 8-bit products");
}

TEST(ModelBench, RoutersFillTheirGroupsEvenly) {
  const TransformerConfig config = small_model(/*heads=*/4, /*layers=*/3);
  const VideoModelPtr model = random_video_model(config, at::kCPU, at::kFloat);
  const VideoShape video{8, 8, 10, {}};
  even_routers(*model, video, at::kCPU, at::kFloat);
  const VideoModelInput input = random_input(config, {video}, at::kCPU, at::kFloat);
  const at::Tensor shares = model->forward(input, at::kFloat).group_histogram.to(at::kDouble) / 640;  // [3, 5]
  EXPECT_LT(shares.max().item<double>(), 0.22);
  EXPECT_GT(shares.min().item<double>(), 0.18);
}

TEST(ModelBench, KnowsWanByItsSize) {
  EXPECT_EQ(named_model("1.3B").model->shape().width(), 1536);
  EXPECT_EQ(named_model("14B").model->shape().width(), 5120);
  EXPECT_EQ(named_model("14B").pixels_per_token(), (Strides{4, 16, 16}));
  EXPECT_EQ(test::error_of([] { named_model("7B"); }),
            "model '7B' is unknown: expected 1.3B, 14B, I2V-14B, A14B, I2V-A14B, TI2V-5B, MMDiT-2B, a config.json or a "
            "model folder");
}

}  // namespace
}  // namespace moga
