// Training on a mesh of ranks against one process: the same losses and gradients for five train steps, the same bits
// from run to run, one folder of the run, resumed on another mesh.
#include <ATen/ATen.h>

#include <cmath>

#include "tests/support/compare.h"
#include "tests/train/video/rank_runs.h"

namespace moga::test {
namespace {

MOGA_RANKS(train_steps) {
  const TrainConfig config = config_of(run_request(rank_argument()));
  const Mesh mesh = Mesh::training(world, config.parallel);
  VideoTask whole(config), own(config, mesh);
  const auto same = close(steps_of(own, config), steps_of(whole, config), 1e-4);
  check(static_cast<bool>(same), "train steps: ", same.message());
}

MOGA_RANKS(train_run) {
  const RunRequest request = run_request(rank_argument());
  const TrainConfig config = config_of(request);
  train(config, request.resume == "-" ? "" : request.resume, "", Mesh::training(world, config.parallel));
}

TEST(TrainOnRanks, StepsEqualOneProcess) {
  const Folder out;
  EXPECT_EQ(run_on(2, "train_steps", {.out = out.path().string()}), "") << "sequence 2";
  EXPECT_EQ(run_on(3, "train_steps", {.out = out.path().string()}), "") << "sequence 3";
  EXPECT_EQ(run_on(4, "train_steps", {.out = out.path().string(), .data_ranks = 2}), "") << "data 2 x sequence 2";
}

TEST(TrainOnRanks, StepsByTokensEqualOneProcess) {
  const Folder out;
  RunRequest request = {.out = out.path().string(), .data_ranks = 2, .pieces = 2, .tokens = 75};
  EXPECT_EQ(run_on(2, "train_steps", request), "") << "data 2";
  EXPECT_EQ(run_on(4, "train_steps", request), "") << "data 2 x sequence 2";
}

// With pieces of one video the second rank's tokens see no image of the style "embedded": it has no gradient of what
// attends to them.
TEST(TrainOnRanks, StepsOfImageModelsEqualOneProcess) {
  const Folder out;
  for (const ImageStyle style : {ImageStyle::kCondition, ImageStyle::kEmbedded, ImageStyle::kGiven}) {
    RunRequest request = {.data = (tiny_image_data(style) / "").string(), .out = out.path().string()};
    request.images = name_of(style);
    request.pieces = 4;
    EXPECT_EQ(run_on(2, "train_steps", request), "") << request.images << ", sequence 2";
    request.pieces = request.data_ranks = 2;
    EXPECT_EQ(run_on(4, "train_steps", request), "") << request.images << ", data 2 x sequence 2";
    request.shard = "full";
    EXPECT_EQ(run_on(2, "train_steps", request), "") << request.images << ", data 2, sharded";
  }
}

// Data ranks evaluate different triples, one of them an odd one out.
MOGA_RANKS(held_out_loss) {
  TrainConfig config = config_of(run_request(rank_argument()));
  config.held_out = {.every = 1, .videos = 3, .times = 3};
  VideoTask whole(config), own(config, Mesh::training(world, config.parallel));
  const nlohmann::json expected = whole.held_out({}), found = own.held_out({});
  const bool data_only = config.parallel.data == world.size();
  const double loss = expected.at("held_out_loss"), tolerance = data_only ? 0 : 1e-6 * loss;
  check(std::abs(found.at("held_out_loss").get<double>() - loss) <= tolerance, "held-out loss is ",
        found.at("held_out_loss").get<double>(), ", on one process ", loss);
}

TEST(TrainOnRanks, TheHeldOutLossIsThatOfOneProcess) {
  const Folder out;
  for (const char* shard : {"none", "full"}) {
    EXPECT_EQ(run_on(2, "held_out_loss", {.out = out.path().string(), .data_ranks = 2, .shard = shard}), "") << shard;
    EXPECT_EQ(run_on(4, "held_out_loss", {.out = out.path().string(), .data_ranks = 2, .shard = shard}), "") << shard;
  }
}

TEST(TrainOnRanks, RunsHaveTheSameBits) {
  const Folder first, second;
  EXPECT_EQ(run_on(2, "train_run", {.out = first.path().string()}), "");
  EXPECT_EQ(run_on(2, "train_run", {.out = second.path().string()}), "");
  for (const char* part : {"model.safetensors", "optimizer.safetensors", "ema.safetensors"})
    EXPECT_EQ(files_of_newest(first)[part], files_of_newest(second)[part]) << part;
  EXPECT_TRUE(std::filesystem::exists(first / "model"));
}

TEST(TrainOnRanks, ResumesOnAnotherMesh) {
  const Folder out;
  EXPECT_EQ(run_on(2, "train_run", {.out = out.path().string(), .steps = 2}), "");
  EXPECT_EQ(run_on(3, "train_run", {.out = out.path().string(), .resume = "auto", .steps = 4}), "");
  EXPECT_EQ(resume_checkpoint(out.path(), "auto")->step, 4);
}

}  // namespace
}  // namespace moga::test
