// A train step needs what was planned from one or two layers and small frames.
#include "moga/bench/plan_training.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "moga/model/wan/transformer.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

TrainConfig small_run() {
  TrainConfig config;
  auto& model = dynamic_cast<TransformerConfig&>(*config.transformer);
  model.num_attention_heads = 4;
  model.attention_head_dim = 32;
  model.in_channels = model.out_channels = 4;
  model.ffn_dim = 512;
  model.num_layers = 5;
  model.text_dim = 64;
  model.text_len = 16;
  config.text_encoder = {.vocab_size = 300, .d_model = 64, .d_kv = 16, .d_ff = 128, .num_layers = 3, .num_heads = 4};
  config.stage.resize(1);
  config.stage[0].steps = 10;
  config.stage[0].batch = 4;
  config.stage[0].accumulation = 2;
  return config;
}

VideoShape video() { return {6, 8, 12, {3, 3}}; }

TEST(PlanTraining, MeetsWhatATrainStepTakes) {
  TrainConfig config = small_run();
  config.text_encoder.vocab_size = 3000;
  const Plan plan = plan_training(config, {{video(), 0}}, at::kCPU, at::kFloat);
  const Rehearsed step = rehearse_training({config, video(), 2, 2, true}, at::kCPU, at::kFloat);
  // Not to the byte: tables of the gradient norms by part have a size of their own.
  EXPECT_NEAR(double(plan.weight_bytes) / double(step.weight_bytes), 1.0, 1e-3);
  const double planned = double(plan.peak_bytes()), taken = double(step.weight_bytes + step.work_bytes);
  EXPECT_NEAR(planned / taken, 1.0, 0.1) << planned << " and " << taken;
}

TEST(PlanTraining, SmallerFramesStandForLargeOnes) {
  TrainConfig config = small_run();
  const auto rehearse = [&](FrameSize frame) {
    return rehearse_training({config, {6, frame.rows, frame.columns, {3, 3}}, 2, 1, false}, at::kCPU, at::kFloat);
  };
  const auto flop = [](FrameSize frame) { return double(frame.tokens()); };
  const Rehearsed planned = over_frames({12, 16}, {.flop = 60, .least = {2, 2}}, flop, rehearse);
  EXPECT_NEAR(double(planned.work_bytes) / double(rehearse({12, 16}).work_bytes), 1.0, 0.1);
}

// The state of a rank, from whole to fully sharded, and what was planned for it against a rehearsal of all layers.
TEST(PlanTraining, CountsTheShardsOfARank) {
  TrainConfig config = small_run();
  config.recompute.mode = Recompute::kSelective;
  config.text_encoder.num_layers = 1;
  int64_t before = std::numeric_limits<int64_t>::max();
  for (const Shard shard : {Shard::kNone, Shard::kOptimizer, Shard::kFull}) {
    config.parallel.shard = shard;
    const Plan plan = plan_training(config, {{video(), 0}}, at::kCPU, at::kFloat, {.data = 2});
    EXPECT_LT(plan.weight_bytes, before) << name_of(shard);
    before = plan.weight_bytes;
    const Rehearsed step = rehearse_training({config, video(), 2, 1, true, 2}, at::kCPU, at::kFloat);
    EXPECT_NEAR(double(plan.weight_bytes) / double(step.weight_bytes), 1.0, 0.03) << name_of(shard);
    EXPECT_NEAR(double(plan.peak_bytes()) / double(step.weight_bytes + step.work_bytes), 1.0, 0.1) << name_of(shard);
  }
}

TEST(PlanTraining, SomeSelectiveBlocksLieBetweenNoneAndAll) {
  TrainConfig config = small_run();
  config.recompute = {.mode = Recompute::kSelective, .selective_blocks = 2};
  const Plan plan = plan_training(config, {{video(), 0}}, at::kCPU, at::kFloat);
  EXPECT_EQ(plan.recompute->selective_blocks, 2);
  const Rehearsed step = rehearse_training({config, video(), 2, 2, true}, at::kCPU, at::kFloat);
  EXPECT_NEAR(double(plan.peak_bytes()) / double(step.weight_bytes + step.work_bytes), 1.0, 0.1);
}

TEST(PlanTraining, CountsEvaluationsOfTheHeldOutLoss) {
  const TrainConfig config = small_run();
  const HeldOutShape held_out = {.video = video(), .evaluations = 3, .passes = 8};
  const Plan plan = plan_training(config, {{.video = video(), .held_out = held_out}}, at::kCPU, at::kFloat);
  ASSERT_EQ(plan.phases.size(), 2u);
  EXPECT_EQ(plan.phases[1].name, "held-out loss");
  EXPECT_GT(plan.phases[1].peak_bytes, plan.weight_bytes);
  EXPECT_LT(plan.phases[1].peak_bytes, plan.phases[0].peak_bytes);  // a forward pass keeps nothing
  // 10 steps are the forward and backward passes of 40 videos; evaluations are the forward passes of 24.
  EXPECT_GT(plan.phases[1].seconds, 0.02 * plan.phases[0].seconds);
  EXPECT_LT(plan.phases[1].seconds, plan.phases[0].seconds);
}

TEST(PlanTraining, SaysWhatWouldFit) {
  TrainConfig config = small_run();
  config.stage[0].accumulation = 1;
  const Plan plan = plan_training(config, {{{1, 4, 4, {}}, int64_t(1) << 50}}, at::kCPU, at::kFloat);
  EXPECT_FALSE(plan.fits());
  EXPECT_EQ(plan.advice, std::vector<std::string>{"shorter or smaller videos in stage main"});
}

TEST(PlanTrainingGpu, IsMadeByRehearsalsOnTheDevice) {
  MOGA_NEEDS_GPU();
  const Plan plan = plan_training(small_run(), {{video(), 0}}, at::Device("cuda:0"), at::kBFloat16);
  ASSERT_EQ(plan.phases.size(), 1u);
  EXPECT_TRUE(plan.fits()) << to_table(plan);
  EXPECT_GT(plan.phases[0].peak_bytes, plan.weight_bytes);
  EXPECT_GT(plan.phases[0].seconds, 0);
}

}  // namespace
}  // namespace moga
