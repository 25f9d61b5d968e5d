// When ranks disagree, one line names the rank and what differs.
#include "moga/parallel/agree.h"

#include <gtest/gtest.h>

#include "moga/parallel/rank_environment.h"
#include "tests/support/ranks.h"

namespace moga::test {
namespace {

MOGA_RANKS(agreement) { agree(world, {{"config", "steps = 5\nlr = 1e-5"}, {"weights", "\xff\x01 not text"}}); }

MOGA_RANKS(disagreement) {
  const std::string rate = world.rank() == 2 ? "lr = 2e-5" : "lr = 1e-5";
  agree(world, {{"version", "1"}, {"config", "steps = 5\n" + rate}});
}

MOGA_RANKS(long_disagreement) {
  const std::string digits(500, '0');
  agree(world, {{"data", digits + (world.rank() == 1 ? "x" : "y") + digits}});
}

TEST(Agree, SameClaims) { EXPECT_EQ(run_ranks("agreement", 3).line, ""); }

TEST(Agree, NamesRankAndBothValues) {
  EXPECT_EQ(run_ranks("disagreement", 4).line,
            "rank 0 on " + host_name() + ": rank 2 on " + host_name() +
                " has another config: 'lr = 2e-5', rank 0 has 'lr = 1e-5'; all 4 ranks were ended");
}

TEST(Agree, ShowsTheDifferenceInsideALongLine) {
  const std::string line = run_ranks("long_disagreement", 2).line;
  EXPECT_NE(line.find("0000x0000"), std::string::npos) << line;
  EXPECT_NE(line.find("0000y0000"), std::string::npos) << line;
  EXPECT_LT(line.size(), 400u);
}

}  // namespace
}  // namespace moga::test
