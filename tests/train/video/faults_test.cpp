// Ranks that die, hang, run out of memory or are told to end while they train: all of them end within seconds with one
// line, the last checkpoint is whole, and resuming from it gives the bits of an undisturbed run.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <sstream>

#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/parallel/connect.h"
#include "moga/parallel/launcher.h"
#include "moga/parallel/rank_environment.h"
#include "moga/train/loop/out_of_memory.h"
#include "moga/train/video/task.h"
#include "tests/support/ranks.h"
#include "tests/train/tiny_run.h"

namespace moga::test {
namespace {

constexpr int64_t kRanks = 3, kFaulty = 1, kFaultStep = 5;

// On one rank, before the train step after kFaultStep.
class FaultyTask : public VideoTask {
 public:
  FaultyTask(const TrainConfig& config, const Mesh& mesh, const std::string& fault)
      : VideoTask(config, mesh), fault_(mesh.world().rank() == kFaulty ? fault : "none") {}

  StepReport step(const TrainPosition& position) override {
    if (position.step == kFaultStep) happen();
    return VideoTask::step(position);
  }

 private:
  void happen() const {
    if (fault_ == "killed") raise(SIGKILL);
    if (fault_ == "stopped") raise(SIGSTOP);
    if (fault_ == "out of memory") at::empty({int64_t{1} << 50}, at::kByte);
    if (fault_ == "told") raise(SIGTERM);
    if (fault_ == "launcher told") kill(getppid(), SIGTERM);
  }
  std::string fault_;
};

TrainConfig config_of(const std::string& data, const std::string& out) {
  TrainConfig config = tiny_config(out);
  config.tokenizer = data + "spiece.model";
  config.stage[0].data = data + "shards";
  config.stage[0].steps = 8;
  config.checkpoint_every = 2;
  return config;
}

// The argument: folder of the data, folder of the run, fault.
MOGA_RANKS(faulty_run) {
  std::istringstream argument(rank_argument());
  std::string data, out, fault;
  argument >> data >> out >> std::ws;
  std::getline(argument, fault);
  const TrainConfig config = config_of(data, out);
  const Mesh mesh = Mesh::training(world, config.parallel);
  const LoopConfig loop = loop_config(config, mesh);
  const auto checkpoint = begin_run(config.out, "auto");
  const TrainEnd end = explain_out_of_memory({loop.device, "", "stage.0.accumulation=4"}, [&] {
    FaultyTask task(config, mesh, checkpoint ? "none" : fault);
    return Trainer(task, loop, checkpoint).run();
  });
  if (end != TrainEnd::interrupted) return;
  leave(world);
  throw Interrupted();
}

RanksRun run(const Folder& out, const std::string& fault, double collective_seconds = 60) {
  const std::string argument = (tiny_data() / "").string() + " " + out.path().string() + " " + fault;
  return run_ranks("faulty_run", kRanks, {.collective_seconds = collective_seconds, .argument = argument});
}

nlohmann::json final_files(const Folder& out) {
  const auto checkpoint = resume_checkpoint(out.path(), "auto");
  EXPECT_EQ(checkpoint->step, 8);
  nlohmann::json files;  // the config names the folder of the run, the tensors do not
  for (const char* part : {"model.safetensors", "optimizer.safetensors", "ema.safetensors"})
    files[part] = checkpoint->files.at(part);
  return files;
}

const nlohmann::json& undisturbed() {
  static const nlohmann::json files = [] {
    const Folder out;
    EXPECT_EQ(run(out, "none").line, "");
    return final_files(out);
  }();
  return files;
}

// The newest checkpoint is of `step`, and resuming from it ends as if nothing had happened.
void expect_resumed(const Folder& out, int64_t step) {
  const auto checkpoint = resume_checkpoint(out.path(), "auto");  // throws when it is damaged
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(checkpoint->step, step);
  EXPECT_EQ(run(out, "none").line, "");
  EXPECT_EQ(final_files(out), undisturbed());
}

std::string faulty_rank() { return "rank " + std::to_string(kFaulty) + " on " + host_name(); }

TEST(FaultsInTraining, AKilledRank) {
  const Folder out;
  const RanksRun failed = run(out, "killed");
  EXPECT_EQ(failed.line, faulty_rank() + " was killed by SIGKILL; all 3 ranks were ended");
  EXPECT_LT(failed.seconds, 30);
  expect_resumed(out, 4);
}

TEST(FaultsInTraining, AStoppedRankIsFoundByTheTimeOut) {
  const Folder out;
  const RanksRun failed = run(out, "stopped", /*collective_seconds=*/6);
  EXPECT_TRUE(failed.line.starts_with(faulty_rank() + " did not answer and was killed (")) << failed.line;
  EXPECT_LT(failed.seconds, 40);  // the time-out, the launcher's patience, and the steps before
  expect_resumed(out, 4);
}

TEST(FaultsInTraining, ARankThatRunsOutOfMemory) {
  const Folder out;
  const RanksRun failed = run(out, "out of memory");
  EXPECT_TRUE(failed.line.starts_with(faulty_rank() + ": out of memory on the host: ")) << failed.line;
  EXPECT_NE(failed.line.find("less is needed with stage.0.accumulation=4; all 3 ranks"), std::string::npos);
  EXPECT_LT(failed.seconds, 30);
  expect_resumed(out, 4);
}

TEST(FaultsInTraining, SigtermToARankOrTheLauncherSavesAndEndsAll) {
  for (const char* fault : {"told", "launcher told"}) {
    const Folder out;
    const RanksRun ended = run(out, fault);
    EXPECT_EQ(ended.status, kInterruptedExit) << fault << ": " << ended.line;
    const auto checkpoint = resume_checkpoint(out.path(), "auto");
    ASSERT_TRUE(checkpoint) << fault;
    EXPECT_GE(checkpoint->step, kFaultStep + 1) << fault;
    expect_resumed(out, checkpoint->step);
  }
}

TEST(FaultsInTraining, LogLinesNameTheSlowestRank) {
  const Folder out;
  EXPECT_EQ(run(out, "none").line, "");
  std::istringstream log(read_text(out / "log.jsonl"));
  int64_t lines = 0;
  for (std::string line; std::getline(log, line); ++lines) {
    const nlohmann::json ranks = nlohmann::json::parse(line).at("ranks");
    EXPECT_EQ(ranks.at("own_seconds").size(), static_cast<size_t>(kRanks));
    EXPECT_LT(ranks.at("slowest").get<int64_t>(), kRanks);
    EXPECT_EQ(ranks.at("slowest_host"), host_name());
    EXPECT_GT(ranks.at("own_seconds")[0].get<double>(), 0);
    EXPECT_GT(ranks.at("peak_bytes")[2].get<int64_t>(), 0);
  }
  EXPECT_EQ(lines, 4);
}

// A batch that data ranks cannot share evenly is refused before a rank could wait for another one's missing video.
MOGA_RANKS(uneven_batch) {
  std::istringstream argument(rank_argument());
  std::string data, out;
  argument >> data >> out;
  TrainConfig config = config_of(data, out);
  config.stage[0].batch = 5;
  config.parallel.data = 2;
  train(config, "", "", Mesh::training(world, config.parallel));
}

TEST(FaultsInTraining, AnUnevenBatchIsRefused) {
  const Folder out;
  const RanksRun failed =
      run_ranks("uneven_batch", 2, {.argument = (tiny_data() / "").string() + " " + out.path().string()});
  EXPECT_NE(failed.line.find("batch is 5, expected a multiple of the 2 data ranks"), std::string::npos) << failed.line;
}

}  // namespace
}  // namespace moga::test
