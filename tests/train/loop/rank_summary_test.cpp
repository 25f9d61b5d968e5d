// The summary names the rank that waits least, with its host, and the range of memory.
#include "moga/train/loop/rank_summary.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "moga/parallel/rank_environment.h"
#include "tests/support/ranks.h"

namespace moga::test {
namespace {

MOGA_RANKS(summary_of_three) {
  const double waited = std::vector{0.5, 0.1, 0.4}[world.rank()];
  const nlohmann::json summary = summarise_ranks(world, {.seconds = 2, .waited = waited}, (world.rank() + 1) << 30);
  check(summary["slowest"] == 1, summary.dump());
  check(summary["peak_bytes"][2] == int64_t{3} << 30, summary.dump());
  const std::string expected = "slowest rank 1 on " + host_name() +
                               ": 1.9 s of its own in a step, 14 % above the mean; peak memory 1.0 GiB to 3.0 GiB";
  check(text_of_ranks(summary) == expected, text_of_ranks(summary));
}

TEST(RankSummary, NamesTheSlowestRank) { EXPECT_EQ(run_ranks("summary_of_three", 3).line, ""); }

}  // namespace
}  // namespace moga::test
