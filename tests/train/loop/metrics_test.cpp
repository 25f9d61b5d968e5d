// Means over the steps taken, counts, and rates.
#include "moga/train/loop/metrics.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

namespace moga {
namespace {

StepReport report(double loss, bool skipped, int64_t count) {
  return {.lr = 0.1,
          .values = {{"loss", at::scalar_tensor(loss, at::kFloat)}, {"norm", at::scalar_tensor(2 * loss, at::kFloat)}},
          .skipped = at::scalar_tensor(skipped ? 1.0 : 0.0, at::kFloat),
          .counts = at::full({1, 2}, count, at::kLong),
          .throughput = {{"videos", 4}}};
}

TEST(Metrics, AverageOverTheStepsTakenAndStartOver) {
  Metrics metrics;
  metrics.add(report(1, false, 3));
  metrics.add(report(std::numeric_limits<double>::quiet_NaN(), true, 5));
  metrics.add(report(1000, true, 0));
  metrics.add(report(2, false, 1));
  const Metrics::Line line = metrics.take();
  EXPECT_EQ(line.means.at("steps"), 4);
  EXPECT_EQ(line.means.at("skipped"), 2);
  EXPECT_EQ(line.means.at("loss"), 1.5);
  EXPECT_EQ(line.means.at("norm"), 3);
  EXPECT_TRUE(at::equal(line.counts, at::full({1, 2}, 9, at::kDouble)));
  EXPECT_EQ(metrics.steps(), 0);
  metrics.add(report(7, false, 0));
  EXPECT_EQ(metrics.take().means.at("loss"), 7);
}

TEST(Metrics, ListsStayLists) {
  Metrics metrics;
  StepReport more = report(1, false, 0);
  more.values.emplace_back("parts", at::tensor({1.0f, 5.0f}));
  metrics.add(more);
  more.values.back().second = at::tensor({3.0f, 6.0f});
  metrics.add(more);
  const nlohmann::json means = metrics.take().means;
  EXPECT_EQ(means.at("parts"), (nlohmann::json{2.0, 5.5}));
  EXPECT_EQ(means.at("norm"), 2);
}

TEST(Metrics, RatesLeaveOutWhatIsExcluded) {
  Metrics metrics;
  metrics.add(report(1, false, 0));
  metrics.exclude(-100);  // as if the step had taken 100 s longer
  const nlohmann::json line = metrics.take().means;
  EXPECT_NEAR(line.at("step_seconds").get<double>(), 100, 5);
  EXPECT_NEAR(line.at("videos_per_second").get<double>(), 0.04, 0.004);
}

}  // namespace
}  // namespace moga
