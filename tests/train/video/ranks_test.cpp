// Training on a mesh of ranks against one process: the same losses and gradients for five train steps, the same bits
// from run to run, one folder of the run, resumed on another mesh.
#include <ATen/ATen.h>

#include <sstream>

#include "moga/train/video/task.h"
#include "tests/support/compare.h"
#include "tests/support/ranks.h"
#include "tests/train/tiny_run.h"

namespace moga::test {
namespace {

// What the parent passes to the ranks: they must share data and run.
struct Request {
  std::string data = (tiny_data() / "").string(), out, resume = "-";
  int64_t data_ranks = 1, steps = 5;

  std::string text() const {
    return data + " " + out + " " + resume + " " + std::to_string(data_ranks) + " " + std::to_string(steps);
  }
};

Request request_of(const std::string& text) {
  Request request;
  std::istringstream(text) >> request.data >> request.out >> request.resume >> request.data_ranks >> request.steps;
  return request;
}

TrainConfig config_of(const Request& request) {
  TrainConfig config = tiny_config(request.out);
  config.tokenizer = request.data + "spiece.model";
  config.stage[0].data = request.data + "shards";
  config.stage[0].steps = request.steps;
  config.recompute.mode = Recompute::kSelective;
  config.parallel.data = request.data_ranks;
  return config;
}

// Loss, balance loss and norm of the gradient of each step, [steps, 3].
at::Tensor steps_of(VideoTask& task, const TrainConfig& config) {
  const StageConfig& stage = config.stage[0];
  const TrainData data = task.load_data(stage.data, 0);
  DataOrder order = task.data_order(stage, data);
  std::vector<at::Tensor> lines;
  for (int64_t step = 0; step < stage.steps; ++step) {
    const TrainPosition position = {.stage = 0, .stage_step = step, .step = step};
    const StepResult result =
        task.state().train_step({.step = step, .lr = 1e-3, .pieces = task.next_batch(stage, data, order, position)});
    lines.push_back(at::stack({result.flow, result.balance, result.gradient_norm}));
  }
  return at::stack(lines).to(at::kDouble);
}

MOGA_RANKS(train_steps) {
  const TrainConfig config = config_of(request_of(rank_argument()));
  const Mesh mesh = Mesh::training(world, config.parallel);
  VideoTask whole(config), own(config, mesh);
  const auto same = close(steps_of(own, config), steps_of(whole, config), 1e-4);
  check(static_cast<bool>(same), "train steps: ", same.message());
}

MOGA_RANKS(train_run) {
  const Request request = request_of(rank_argument());
  const TrainConfig config = config_of(request);
  train(config, request.resume == "-" ? "" : request.resume, "", Mesh::training(world, config.parallel));
}

std::string run(const std::string& body, int64_t ranks, const Request& request) {
  return run_ranks(body, ranks, {.argument = request.text()}).line;
}

nlohmann::json files_of_newest(const Folder& run) { return resume_checkpoint(run.path(), "auto")->files; }

TEST(TrainOnRanks, StepsEqualOneProcess) {
  const Folder out;
  EXPECT_EQ(run("train_steps", 2, {.out = out.path().string()}), "") << "sequence 2";
  EXPECT_EQ(run("train_steps", 3, {.out = out.path().string()}), "") << "sequence 3";
  EXPECT_EQ(run("train_steps", 4, {.out = out.path().string(), .data_ranks = 2}), "") << "data 2 x sequence 2";
}

TEST(TrainOnRanks, RunsHaveTheSameBits) {
  const Folder first, second;
  EXPECT_EQ(run("train_run", 2, {.out = first.path().string()}), "");
  EXPECT_EQ(run("train_run", 2, {.out = second.path().string()}), "");
  for (const char* part : {"model.safetensors", "optimizer.safetensors", "ema.safetensors"})
    EXPECT_EQ(files_of_newest(first)[part], files_of_newest(second)[part]) << part;
  EXPECT_TRUE(std::filesystem::exists(first / "model"));
}

TEST(TrainOnRanks, ResumesOnAnotherMesh) {
  const Folder out;
  EXPECT_EQ(run("train_run", 2, {.out = out.path().string(), .steps = 2}), "");
  EXPECT_EQ(run("train_run", 3, {.out = out.path().string(), .resume = "auto", .steps = 4}), "");
  EXPECT_EQ(resume_checkpoint(out.path(), "auto")->step, 4);
}

}  // namespace
}  // namespace moga::test
