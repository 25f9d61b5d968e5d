// Learning rates over a stage.
#include "moga/train/loop/lr_schedule.h"

#include <gtest/gtest.h>

#include "moga/core/config.h"
#include "tests/support/error.h"

namespace moga {
namespace {

TEST(LrSchedule, WarmsUpLinearlyThenStays) {
  const LrScheduleConfig config = {.kind = LrKind::kConstant, .warmup_steps = 4};
  EXPECT_DOUBLE_EQ(learning_rate(config, 2.0, 0, 100), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(config, 2.0, 3, 100), 2.0);
  EXPECT_DOUBLE_EQ(learning_rate(config, 2.0, 99, 100), 2.0);
}

TEST(LrSchedule, CosineEndsAtItsFraction) {
  const LrScheduleConfig config = {.kind = LrKind::kCosine, .warmup_steps = 20, .final_fraction = 0.1};
  EXPECT_DOUBLE_EQ(learning_rate(config, 1.0, 20, 120), 1.0);
  EXPECT_NEAR(learning_rate(config, 1.0, 70, 120), 0.55, 1e-12);
  EXPECT_NEAR(learning_rate(config, 1.0, 120, 120), 0.1, 1e-12);
}

TEST(LrSchedule, RefusesUnknownKinds) {
  const auto read = [] { parse_toml<LrScheduleConfig>("kind = \"linear\"", "config"); };
  EXPECT_NE(test::error_of(read).find("kind 'linear' is not one of constant, cosine"), std::string::npos);
}

}  // namespace
}  // namespace moga
