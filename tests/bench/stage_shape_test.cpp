// The sizes of a stage from its shards, and the part of them that one rank of a mesh computes.
#include "moga/bench/stage_shape.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/data/dataset/shards.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

TrainConfig one_stage() {
  TrainConfig config;
  config.transformer->apply({"num_attention_heads=4", "attention_head_dim=32", "in_channels=4", "out_channels=4"},
                            "test");
  config.stage.resize(1);
  config.stage[0].batch = 4;
  config.stage[0].accumulation = 2;
  return config;
}

TEST(StageShape, ReadsShapesFromShards) {
  const test::Folder folder;
  ShardWriter writer(folder.path(), 8);
  writer.add({at::zeros({4, 3, 4, 6}, at::kBFloat16), {3}, {"Mara waves."}});
  writer.add({at::zeros({4, 5, 4, 6}, at::kBFloat16), {2, 3}, {"Mara waves.", "Mara walks."}});
  writer.finish();
  TrainConfig config = one_stage();
  config.stage[0].data = folder.path().string();
  const StageShape shape = stage_shape(config, 0);
  EXPECT_EQ(shape.video, (VideoShape{5, 2, 3, {2, 3}}));
  EXPECT_EQ(shape.data_bytes, (3 + 5) * 4 * 4 * 6 * 2);
}

TEST(StageShape, ByTokensARankHasRoomForTheLargestVideos) {
  TrainConfig config = one_stage();
  config.stage[0].tokens_per_batch = 7 * 40 * 30 * 52;
  config.stage[0].accumulation = 1;
  std::vector<StageShape> stages = {{.video = {40, 30, 52, {20, 20}}}};
  EXPECT_EQ(part_of_rank(config, stages, {}).stage[0].batch, 7);
  config.stage[0].accumulation = 7;
  const TrainConfig own = part_of_rank(config, stages, {.data = 1});
  EXPECT_EQ(own.stage[0].videos() / own.stage[0].accumulation, 2);  // pieces are contiguous: one may hold two of them
  EXPECT_GE(own.stage[0].batch, 7);
}

// Attention of a slice sees the keys of the other slices, which a video of its length does not have.
TEST(StageShape, ARankHasItsVideosAndItsSlice) {
  TrainConfig config = one_stage();
  config.transformer->apply({"moga.kind=full"}, "test");
  std::vector<StageShape> stages = {{.video = {40, 30, 52, {20, 20}}}};
  const TrainConfig own = part_of_rank(config, stages, {.data = 2, .sequence = 4});
  EXPECT_EQ(own.stage[0].batch, 2);
  EXPECT_EQ(own.stage[0].accumulation, 1);
  EXPECT_EQ(stages[0].video, (VideoShape{10, 30, 52, {}}));
  EXPECT_GT(stages[0].work, 2.5);  // attention is most of it, and has four times as many keys
  EXPECT_LT(stages[0].work, 4);
}

TEST(StageShape, CountsTheEvaluationsOnHeldOutData) {
  const test::Folder folder;
  ShardWriter writer(folder.path(), 8);
  for (int i = 0; i < 3; ++i)
    writer.add({at::zeros({4, 5, 4, 6}, at::kBFloat16), {2, 3}, {"Mara waves.", "She runs."}});
  writer.finish();
  TrainConfig config = one_stage();
  config.stage[0].data = folder.path().string();
  config.stage[0].steps = 10;
  config.stage.push_back(config.stage[0]);
  EXPECT_FALSE(stage_shape(config, 0).held_out);
  config.held_out = {.every = 8, .data = folder.path().string(), .videos = 16, .times = 4, .frames = 2};
  std::vector<StageShape> stages = stage_shapes(config);
  EXPECT_EQ(stages[0].held_out->evaluations, 2);  // before the first step and after step 8
  EXPECT_EQ(stages[1].held_out->evaluations, 2);  // after steps 16 and 20
  EXPECT_EQ(stages[0].held_out->passes, 3 * 4);   // there are three videos
  EXPECT_EQ(stages[0].held_out->video.frames, 2);
  part_of_rank(config, stages, {.data = 5, .sequence = 2});
  EXPECT_EQ(stages[0].held_out->passes, 3);
  EXPECT_EQ(stages[0].held_out->video.frames, 1);
}

}  // namespace
}  // namespace moga
