// Which name was meant.
#include "moga/core/nearest.h"

#include <gtest/gtest.h>

namespace moga {
namespace {

TEST(Nearest, IsTheNameWithTheLeastEdits) {
  const std::vector<std::string> names = {"--seed", "--steps", "--shift"};
  EXPECT_EQ(nearest("--step", names), "--steps");
  EXPECT_EQ(nearest("--sihft", names), "--shift");
  EXPECT_EQ(nearest("--steps", names), "--steps");
  EXPECT_EQ(did_you_mean("--step", names), "; did you mean '--steps'?");
}

TEST(Nearest, IsNoneWhereAllAreFar) {
  EXPECT_EQ(nearest("--guidance", {"--seed", "--steps"}), "");
  EXPECT_EQ(nearest("steps", {}), "");
  EXPECT_EQ(did_you_mean("steps", {}), "");
}

}  // namespace
}  // namespace moga
