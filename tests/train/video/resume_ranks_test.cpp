// A run that is continued on 1, 2 and 4 processes, in any order: the losses of one process, within the order of
// summation.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "moga/train/video/task.h"
#include "tests/support/ranks.h"
#include "tests/train/tiny_run.h"

namespace moga::test {
namespace {

constexpr int64_t kPart = 2;  // train steps on each number of processes

// The argument: folder of the data, folder of the run, the step at which this part ends.
MOGA_RANKS(part_of_run) {
  std::istringstream argument(rank_argument());
  std::string data, out;
  int64_t end = 0;
  argument >> data >> out >> end;
  TrainConfig config = tiny_config(out);
  config.tokenizer = data + "spiece.model";
  config.stage[0].data = data + "shards";
  config.stage[0].steps = end;
  config.checkpoint_every = 5;
  train(config, "auto", "", Mesh::training(world, config.parallel));
}

// The losses of two train steps each, from the log.
std::vector<double> losses_on(const std::vector<int64_t>& processes) {
  const Folder out;
  int64_t end = 0;
  for (const int64_t count : processes) {
    const std::string argument =
        (tiny_data() / "").string() + " " + out.path().string() + " " + std::to_string(end += kPart);
    EXPECT_EQ(run_ranks("part_of_run", count, {.argument = argument}).line, "") << count << " processes";
  }
  std::vector<double> losses;
  std::ifstream log(out / "log.jsonl");
  for (std::string line; std::getline(log, line);)
    losses.push_back(nlohmann::json::parse(line).at("loss").get<double>());
  return losses;
}

TEST(ResumeOnRanks, AnyOrderOfProcessesHasTheLossesOfOne) {
  const std::vector<double> expected = losses_on({1, 1, 1});
  ASSERT_EQ(expected.size(), 3u);
  for (const std::vector<int64_t>& order : {std::vector<int64_t>{1, 2, 4}, {4, 1, 2}, {2, 4, 1}}) {
    const std::vector<double> found = losses_on(order);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(found[i], expected[i], 1e-5 * expected[i]) << "line " << i << " of the order from " << order[0];
  }
}

}  // namespace
}  // namespace moga::test
