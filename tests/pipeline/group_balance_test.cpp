// What uneven groups cost, in numbers worked out by hand.
#include "moga/pipeline/group_balance.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace moga {
namespace {

at::Tensor counts(const std::vector<int64_t>& values, int64_t layers) {
  return at::tensor(values, at::kLong).view({layers, -1});
}

TEST(GroupBalance, EvenGroupsCostOne) {
  GroupBalance balance;
  balance.see(counts({25, 25, 25, 25}, 1));
  EXPECT_DOUBLE_EQ(balance.cost(), 1.0);
  EXPECT_EQ(
      balance.text(),
      "routed groups: attention costs 1.00 times that of even groups, the largest has 25.0 % of the tokens (even: "
      "25.0 %)");
}

TEST(GroupBalance, IsTheMeanOverLayersAndEvaluations) {
  GroupBalance balance;
  balance.see(counts({100, 0, 50, 50}, 2));  // 2 and 1
  balance.see(counts({75, 25, 50, 50}, 2));  // 1.25 and 1
  EXPECT_DOUBLE_EQ(balance.cost(), (2 + 1 + 1.25 + 1) / 4);
  EXPECT_NE(balance.text().find("1.31 times that of even groups, the largest has 100.0 %"), std::string::npos);
  EXPECT_NE(balance.text().find("moga calibrate"), std::string::npos);
}

TEST(GroupBalance, WithoutRoutersThereIsNothingToSay) {
  GroupBalance balance;
  balance.see({});
  EXPECT_EQ(balance.cost(), 0);
  EXPECT_EQ(balance.text(), "");
}

}  // namespace
}  // namespace moga
