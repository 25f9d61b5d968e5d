// Rounding to bfloat16 whose expected value is the value itself.
#include "moga/train/loop/stochastic_rounding.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/random.h"

namespace moga {
namespace {

TEST(StochasticRounding, GivesOneOfTheTwoNeighboursByDistance) {
  for (const float sign : {1.0f, -1.0f}) {
    at::Tensor values =
        at::full({100000}, sign * (1.0f + 0.25f / 128), at::kFloat);  // a quarter of the way to 1 + 1/128
    round_to_bfloat16(values, random_stream(1, "rounding"));
    EXPECT_TRUE(((values == sign) | (values == sign * (1 + 1.0f / 128))).all().item<bool>());
    EXPECT_NEAR((values != sign).to(at::kDouble).mean().item<double>(), 0.25, 0.006);  // 4 standard deviations
  }
}

TEST(StochasticRounding, KeepsWhatBfloat16Represents) {
  const at::Tensor exact = at::randn({1000}, random_stream(2, "values"), at::kFloat).to(at::kBFloat16).to(at::kFloat);
  at::Tensor values = at::cat({exact, at::zeros({3})});
  round_to_bfloat16(values, random_stream(3, "rounding"));
  EXPECT_TRUE(at::equal(values, at::cat({exact, at::zeros({3})})));
}

}  // namespace
}  // namespace moga
