// Rotary positions against their definition.
#include "moga/model/layers/rope.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>

#include <cmath>

#include "tests/support/compare.h"
#include "tests/support/error.h"

namespace moga {
namespace {

using test::close;

const VideoShape kVideo = {.frames = 3, .rows = 2, .columns = 4, .shot_frames = {}};
constexpr int64_t kHeadDim = 16;  // 8 over frames, 4 over rows, 4 over columns

TEST(RotaryTable, TurnsByFrameRowAndColumn) {
  const at::Tensor angle = at::angle(rotary_table({{kVideo}}, kHeadDim, at::kCPU, at::kDouble));  // [24, 8]
  const auto at_token = [&](int64_t frame, int64_t row, int64_t column, int64_t pair) {
    return angle[(frame * 2 + row) * 4 + column][pair].item<double>();
  };
  EXPECT_NEAR(at_token(2, 1, 3, 0), 2.0, 1e-12);
  EXPECT_NEAR(at_token(2, 1, 3, 3), 2.0 * std::pow(10000.0, -6.0 / 8), 1e-12);
  EXPECT_NEAR(at_token(2, 1, 3, 4), 1.0, 1e-12);
  EXPECT_NEAR(at_token(2, 1, 3, 5), 0.01, 1e-12);
  EXPECT_NEAR(at_token(2, 1, 3, 6), 3.0, 1e-12);
  EXPECT_NEAR(at_token(2, 1, 3, 7), 0.03, 1e-12);
}

TEST(RotaryTable, FramesCountOnThroughShotsAndAnewInEachVideo) {
  VideoShape shots = kVideo;
  shots.shot_frames = {1, 2};
  const at::Tensor one = rotary_table({{kVideo}}, kHeadDim, at::kCPU);
  EXPECT_TRUE(at::equal(rotary_table({{shots, kVideo}}, kHeadDim, at::kCPU), at::cat({one, one})));
}

TEST(Rotate, TurnsAdjacentPairs) {
  const at::Tensor x = at::tensor({1.0, 0.0, 0.0, 2.0}).view({1, 1, 4});
  const at::Tensor angle = at::tensor({0.5, 0.25});
  const at::Tensor table = at::polar(at::ones({2}), angle.to(at::kFloat)).view({1, 2});
  const float c0 = std::cos(0.5f), s0 = std::sin(0.5f), c1 = std::cos(0.25f), s1 = std::sin(0.25f);
  EXPECT_TRUE(close(rotate(x.to(at::kFloat), table).flatten(), at::tensor({c0, s0, -2 * s1, 2 * c1}), 1e-6));
}

TEST(Rotate, ScoresDependOnTheDistanceAlone) {
  at::manual_seed(4);
  const at::Tensor table = rotary_table({{kVideo}}, kHeadDim, at::kCPU, at::kDouble);
  const at::Tensor q = rotate(at::randn({1, 1, kHeadDim}, at::kDouble).expand({24, 1, kHeadDim}), table);
  const at::Tensor k = rotate(at::randn({1, 1, kHeadDim}, at::kDouble).expand({24, 1, kHeadDim}), table);
  const auto score = [&](int64_t i, int64_t j) { return (q[i] * k[j]).sum().item<double>(); };
  EXPECT_NEAR(score(0, 5), score(8, 13), 1e-12);   // a frame later
  EXPECT_NEAR(score(1, 14), score(2, 15), 1e-12);  // a column on
}

TEST(Rotate, GradientIsTheTurnBack) {
  at::manual_seed(5);
  const at::Tensor table = rotary_table({{kVideo}}, kHeadDim, at::kCPU, at::kDouble);
  const at::Tensor x = at::randn({24, 2, kHeadDim}, at::kDouble).requires_grad_();
  const at::Tensor pull = at::randn({24, 2, kHeadDim}, at::kDouble);
  const at::Tensor gradient = torch::autograd::grad({rotate(x, table)}, {x}, {pull})[0];
  EXPECT_TRUE(close(rotate(gradient, table), pull, 1e-12));
}

TEST(Rotate, ATableOfOtherSizeIsRefused) {
  EXPECT_EQ(test::error_of([] {
              rotate(at::zeros({24, 2, 12}), rotary_table({{kVideo}}, kHeadDim, at::kCPU));
            }),
            "rotate: x [24, 2, 12] does not fit a table of [24, 8]");
}

}  // namespace
}  // namespace moga
