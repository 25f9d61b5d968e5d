// The loop on a task of one number: what is logged, saved and sampled when, and how a run ends and is resumed.
#include "moga/train/loop/trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

// w ← w + stage + 1 in every step.
class Counter : public TrainTask {
 public:
  std::vector<TrainStage> stages_ = {{"one", 4}, {"two", 3}};
  at::Tensor weight_ = at::zeros({1});
  bool finite_ = true;
  std::vector<std::string> samples_;
  std::vector<int64_t> evaluated_;

  std::string label() const override { return "count"; }
  std::string summary() const override { return "a counter"; }
  std::string config_toml() const override { return "seed = 1\n"; }
  std::vector<TrainStage> stages() const override { return stages_; }
  nlohmann::json identity() const override { return {{"seed", 1}}; }
  TrainParts parts() const override { return {{"model", {{"w", weight_}}}}; }
  StepReport step(const TrainPosition& position) override {
    weight_ += static_cast<double>(position.stage + 1);
    return {.lr = 0.5,
            .values = {{"loss", weight_[0]}},
            .skipped = at::scalar_tensor(finite_ ? 0.0 : 1.0),
            .counts = {},
            .throughput = {{"videos", 2}}};
  }
  std::string note(const nlohmann::json&) const override { return ""; }
  nlohmann::json sample(const TrainPosition&, const std::filesystem::path& prefix) override {
    samples_.push_back(prefix.filename().string());
    return {{"measured", 1}};
  }
  nlohmann::json held_out(const TrainPosition& position) override {
    evaluated_.push_back(position.step);
    return {{"held_out_loss", 0.5}};
  }
  std::string save_model(const TrainPosition&, const std::filesystem::path& folder) override {
    write_text(folder / "weight", std::to_string(weight_.item<float>()));
    return "a number";
  }
};

class TrainerTest : public testing::Test {
 protected:
  TrainEnd run(Counter& task, int64_t stop_after = -1, const std::string& resume = "auto") {
    return Trainer(task, config_, resume_checkpoint(config_.out, resume)).run(stop_after);
  }
  std::vector<nlohmann::json> log() const {
    std::ifstream file(config_.out / "log.jsonl");
    std::vector<nlohmann::json> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }
  test::Folder folder_;
  LoopConfig config_ = {.out = folder_.path(), .log_every = 3, .checkpoint_every = 2, .keep_checkpoints = 9};
};

TEST_F(TrainerTest, EveryStepIsInTheLogAlsoTheLastOnes) {
  Counter task;
  EXPECT_EQ(run(task), TrainEnd::done);
  std::vector<std::pair<int64_t, int64_t>> steps;
  for (const nlohmann::json& line : log()) steps.emplace_back(line.at("step"), line.at("steps"));
  EXPECT_EQ(steps, (std::vector<std::pair<int64_t, int64_t>>{{3, 3}, {4, 1}, {6, 2}, {7, 1}}));
  EXPECT_EQ(log().at(1).at("stage"), "one");
  EXPECT_EQ(log().at(2).at("stage"), "two");
  EXPECT_EQ(read_text(folder_ / "model/weight"), "10.000000");
}

TEST_F(TrainerTest, AnyStopIsResumedToTheSameEnd) {
  for (int64_t stop = 1; stop <= 7; ++stop) {
    const test::Folder folder;
    config_.out = folder.path();
    Counter first, second;
    EXPECT_EQ(run(first, stop), TrainEnd::interrupted);
    EXPECT_EQ(run(second), TrainEnd::done);
    EXPECT_EQ(second.weight_.item<float>(), 10) << stop;
  }
}

TEST_F(TrainerTest, AFinishedRunGoesOnWithMoreStepsOrStages) {
  Counter first, longer, more;
  run(first);
  longer.stages_[1].steps = 5;
  EXPECT_EQ(run(longer), TrainEnd::done);
  EXPECT_EQ(longer.weight_.item<float>(), 14);
  more.stages_ = {{"one", 4}, {"two", 5}, {"three", 1}};
  run(more);
  EXPECT_EQ(more.weight_.item<float>(), 17);
}

TEST_F(TrainerTest, SamplesAtIntervalsAndOnceAtTheEnd) {
  Counter task;
  config_.sample_every = 3;
  run(task);
  EXPECT_EQ(task.samples_, (std::vector<std::string>{"step-00000003", "step-00000006", "step-00000007"}));
  EXPECT_EQ(log().back().at("measured"), 1);
  EXPECT_EQ(log().back().at("step"), 7);
}

TEST_F(TrainerTest, EvaluatesHeldOutDataBeforeAtIntervalsAndOnceAtTheEnd) {
  Counter task, second;
  config_.held_out_every = 3;
  run(task, 3);
  run(second);
  EXPECT_EQ(task.evaluated_, (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(second.evaluated_, (std::vector<int64_t>{6, 7}));
  EXPECT_EQ(log().back().at("held_out_loss"), 0.5);
  EXPECT_EQ(log().back().at("step"), 7);
}

TEST_F(TrainerTest, EndsWhenTimeIsUpAsIfTheStepsWereDone) {
  Counter task;
  config_.max_minutes = 1e-9;
  EXPECT_EQ(run(task), TrainEnd::out_of_time);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "model/weight"));
  EXPECT_EQ(list_checkpoints(folder_.path()).size(), 1u);
}

TEST_F(TrainerTest, AnInterruptSavesAndWritesNoModel) {
  Counter task;
  set_interrupted(true);
  EXPECT_EQ(run(task), TrainEnd::interrupted);
  set_interrupted(false);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "step-00000001/model.safetensors"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "model"));
}

TEST_F(TrainerTest, StopsWhenNoGradientIsFinite) {
  Counter task;
  task.finite_ = false;
  EXPECT_EQ(test::error_of([&] { run(task); }),
            "no finite gradient in the 3 steps before step 3; the last checkpoint is of step 2");
}

TEST_F(TrainerTest, ACheckpointOfAStageThatIsGoneIsRefused) {
  Counter task, fewer;
  run(task);
  fewer.stages_.resize(1);
  EXPECT_NE(test::error_of([&] { run(fewer); }).find("is of stage 2, the config has 1"), std::string::npos);
}

}  // namespace
}  // namespace moga
