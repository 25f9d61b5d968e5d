// Training on a mesh of ranks against one process: the same losses and gradients for five train steps, the same bits
// from run to run, one folder of the run, resumed on another mesh.
#include <ATen/ATen.h>

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
