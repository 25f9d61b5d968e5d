// The least time of sums and gathers, from the bytes of a model and the number of ranks.
#include "moga/bench/link_time.h"

#include <gtest/gtest.h>

#include "moga/core/shapes_only.h"

namespace moga {
namespace {

TrainConfig config_with(Shard shard) {
  TrainConfig config;
  config.transformer->apply({"num_attention_heads=4", "attention_head_dim=32", "ffn_dim=512", "num_layers=3"}, "test");
  config.text = TextSource::kStored;
  config.train_text_encoder = false;
  config.weights = Storage::kBfloat16;
  config.parallel.shard = shard;
  return config;
}

double parameters_of(const TrainConfig& config) {
  const ShapesOnly shapes_only;
  double count = 0;
  for (const at::Tensor& parameter : config.transformer->build(false)->parameters())
    count += static_cast<double>(parameter.numel());
  return count;
}

TEST(LinkTime, WholeGradientsGoRoundTwice) {
  const TrainConfig config = config_with(Shard::kNone);
  const LinkTime time = link_time(config, 1, 4, c10::Device("cuda"));
  EXPECT_EQ(time.hidden, 0);
  EXPECT_NEAR(time.exposed, 2 * 4 * parameters_of(config) * 0.75 / 276e9, 1e-12);
}

TEST(LinkTime, ShardedStateHidesItsSumsAndGathers) {
  const TrainConfig optimizer = config_with(Shard::kOptimizer), full = config_with(Shard::kFull);
  const double parameters = parameters_of(full);
  const LinkTime of_optimizer = link_time(optimizer, 1, 2, c10::Device("cuda"));
  const LinkTime of_full = link_time(full, 1, 2, c10::Device("cuda")),
                 twice = link_time(full, 2, 2, c10::Device("cuda"));
  EXPECT_NEAR(of_optimizer.hidden, 4 * parameters * 0.5 / 276e9, 1e-12);
  EXPECT_GT(of_full.hidden, of_optimizer.hidden);
  EXPECT_LT(of_full.exposed, of_optimizer.exposed);
  EXPECT_NEAR(twice.hidden, 2 * of_full.hidden, 1e-12);
  EXPECT_EQ(link_time(full, 1, 1, c10::Device("cuda")).hidden, 0);
}

}  // namespace
}  // namespace moga
