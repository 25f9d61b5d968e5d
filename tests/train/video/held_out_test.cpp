// The held-out loss is a number of the weights alone, and changes no bit of the training.
#include "moga/train/video/held_out.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "moga/core/random.h"
#include "moga/train/video/task.h"
#include "tests/support/error.h"
#include "tests/train/tiny_run.h"

namespace moga {
namespace {

std::vector<nlohmann::json> held_out_lines(const test::Folder& run) {
  std::ifstream file(run / "log.jsonl");
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(file, line);)
    if (nlohmann::json json = nlohmann::json::parse(line); json.contains("held_out_loss")) {
      json.erase("held_out_seconds");
      lines.push_back(json);
    }
  return lines;
}

TrainConfig with_held_out(const test::Folder& run) {
  TrainConfig config = test::tiny_config(run.path());
  config.held_out = {.every = 2, .data = config.stage[0].data, .videos = 2, .times = 3};
  return config;
}

TEST(HeldOut, IsTheMeanOverItsTriples) {
  const test::Folder run;
  TrainConfig config = with_held_out(run);
  config.held_out.weights = HeldOutWeights::kCurrent;
  VideoTask task(config);
  TrainState& state = task.state();
  const at::NoGradGuard no_grad;
  const TrainData data = task.load_data(config.stage[0].data, 2);
  const HeldOut held_out(config, task.load_data(config.stage[0].data, 2));
  double sum = 0;
  for (int64_t triple = 0; triple < 6; ++triple) {
    const TrainBatch batch = data.batch({{triple / 3}});
    const at::Tensor noise = at::randn(batch.latents.values.sizes(), random_stream(1, "held-out noise", triple));
    const VelocityModel model = [&](const VideoModelInput& x) {
      return state.models().transformer->forward(x, at::kFloat);
    };
    const at::Tensor time = at::full({1}, held_out.time_of(triple), at::kFloat);
    sum += flow_loss(model, {batch.latents, noise, time, state.encode_text(batch), batch.layout}).flow.item<double>();
  }
  EXPECT_DOUBLE_EQ(held_out.measure(state).at("held_out_loss").get<double>(), sum / 6);
}

TEST(HeldOut, TimesAreSpreadOverTheDistributionOfTraining) {
  const test::Folder run;
  TrainConfig config = with_held_out(run);
  config.held_out.times = 4;
  config.flow = {.timesteps = Timesteps::kUniform, .shift = 1};
  VideoTask task(config);
  const HeldOut held_out(config, task.load_data(config.stage[0].data, 10));
  std::vector<double> times;
  for (int64_t triple = 0; triple < 40; ++triple) times.push_back(held_out.time_of(triple));
  std::ranges::sort(times);
  for (size_t i = 0; i < times.size(); ++i) EXPECT_NEAR(times[i], (static_cast<double>(i) + 0.5) / 40, 0.02);
}

TEST(HeldOut, TimeAtAQuantileIsThatOfTheDraws) {
  for (const Timesteps kind : {Timesteps::kUniform, Timesteps::kLogitNormal}) {
    const FlowConfig flow = {.timesteps = kind, .mean = 0.3, .deviation = 0.8, .shift = 3};
    const at::Tensor draws = std::get<0>(sample_times(flow, 20000, random_stream(1, "times")).sort());
    for (const double quantile : {0.1, 0.5, 0.9})
      EXPECT_NEAR(time_at(flow, quantile), draws[static_cast<int64_t>(20000 * quantile)].item<double>(), 0.01);
  }
}

TEST(HeldOut, ChangesNoBitOfTheTrainingAndIsTheSameAfterResuming) {
  const test::Folder plain_run, run, broken_run;
  const TrainConfig plain_config = test::tiny_config(plain_run.path());
  VideoTask plain(plain_config);
  Trainer(plain, loop_config(plain_config)).run();
  const TrainConfig config = with_held_out(run);
  VideoTask task(config);
  Trainer(task, loop_config(config)).run();
  const auto expected = plain.parts(), found = task.parts();
  for (const auto& [part, tensors] : expected)
    for (size_t i = 0; i < tensors.size(); ++i)
      EXPECT_TRUE(at::equal(tensors[i].second, found.at(part)[i].second)) << part << " " << tensors[i].first;

  const TrainConfig broken = with_held_out(broken_run);
  VideoTask first(broken), second(broken);
  Trainer(first, loop_config(broken)).run(3);
  Trainer(second, loop_config(broken), resume_checkpoint(broken.out, "auto")).run();
  const auto lines = held_out_lines(run);
  ASSERT_EQ(lines.size(), 4u);  // before the first step and after steps 2, 4 and 6
  EXPECT_LT(lines[3].at("held_out_loss"), lines[0].at("held_out_loss"));
  EXPECT_EQ(held_out_lines(broken_run), lines);
}

TEST(HeldOut, DoesNotDependOnTheSeedOfTheRun) {
  const test::Folder run;
  TrainConfig config = with_held_out(run), other = config;
  other.seed = 5;
  VideoTask task(config);
  const auto loss = [&](const TrainConfig& of) {
    return HeldOut(of, task.load_data(of.held_out.data, 2)).measure(task.state()).at("held_out_loss").get<double>();
  };
  EXPECT_EQ(loss(config), loss(other));
  other.held_out.seed = 5;
  EXPECT_NE(loss(config), loss(other));
}

TEST(HeldOut, TheLastVideosOfTheStagesOwnDataAreNotTrainedOn) {
  const test::Folder run;
  TrainConfig config = with_held_out(run);
  config.held_out.data.clear();
  VideoTask task(config);
  const TrainData data = task.load_data(config.stage[0].data, 0);
  StageBatches batches = task.batches_of(config.stage[0], data);
  std::vector<int64_t> seen(10);
  for (int64_t step = 0; step < 20; ++step)
    for (const auto& piece : batches.at(step).pieces)
      for (const int64_t video : piece) ++seen[video];
  EXPECT_EQ(std::vector<int64_t>(seen.begin() + 8, seen.end()), (std::vector<int64_t>{0, 0}));
  EXPECT_GT(*std::min_element(seen.begin(), seen.begin() + 8), 0);
  config.held_out.videos = 10;
  VideoTask greedy(config);
  EXPECT_NE(test::error_of([&] { greedy.begin_stage({}); }).find("held_out.videos = 10 of them would not be trained"),
            std::string::npos);
}

}  // namespace
}  // namespace moga
