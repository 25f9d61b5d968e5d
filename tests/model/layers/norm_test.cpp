// Norms and gates against plain operations, with gradients, for every kind of segments.
#include "moga/model/layers/norm.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>

#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/gradcheck.h"

namespace moga {
namespace {

using test::as_good_as;
using test::close;

constexpr double kEps = 1e-6;

// Three videos of two sizes: 12, 12 and 5 tokens; 12 channels.
const Layout kLayout = {{{.frames = 2, .rows = 2, .columns = 3, .shot_frames = {}},
                         {.frames = 3, .rows = 2, .columns = 2, .shot_frames = {}},
                         {.frames = 1, .rows = 1, .columns = 5, .shot_frames = {}}}};
const at::Tensor kVideoOfToken = at::repeat_interleave(at::tensor({12, 12, 5}, at::kLong));

// Segments of one vector per video, per frame, and of slices of both that leave vectors without rows.
struct Case {
  Segments segments;
  int64_t rows, vectors;
};
const std::vector<Case> kCases = {{video_segments(kLayout), 29, 3},
                                  {frame_segments(kLayout), 29, 6},
                                  {slice_of(video_segments(kLayout), 9, 12), 12, 3},
                                  {slice_of(frame_segments(kLayout), 4, 15), 15, 6}};

at::Tensor variable(at::IntArrayRef shape) { return at::randn(shape, at::kDouble).mul_(2).add_(0.5).requires_grad_(); }

// Row by row: the vector of each row, [rows, C].
at::Tensor per_row(const at::Tensor& vectors, const Segments& segments) {
  std::vector<at::Tensor> rows;
  for (const Segment& segment : segments)
    for (int64_t i = 0; i < segment.vectors * segment.rows; ++i)
      rows.push_back(vectors[segment.first_vector + i / segment.rows]);
  return at::stack(rows);
}

at::Tensor plain_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const Segments& segments) {
  return at::layer_norm(x, {12}, {}, {}, kEps) * per_row(weight, segments) + per_row(bias, segments);
}

// Both functions of the same inputs give the same output and the same gradients.
void expect_equal(const std::vector<at::Tensor>& inputs, const at::Tensor& actual, const at::Tensor& expected) {
  EXPECT_TRUE(close(actual, expected, 1e-12));
  const at::Tensor pull = at::randn_like(expected);
  const auto want = torch::autograd::grad({expected}, inputs, {pull});
  const auto have = torch::autograd::grad({actual}, inputs, {pull});
  for (size_t i = 0; i < inputs.size(); ++i) EXPECT_TRUE(close(have[i], want[i], 1e-12)) << i;
}

TEST(ScaledNorm, EqualsPlainOperationsRowByRow) {
  at::manual_seed(1);
  for (const auto& [segments, rows, vectors] : kCases) {
    const at::Tensor x = variable({rows, 12}), weight = variable({vectors, 12}), bias = variable({vectors, 12});
    expect_equal({x, weight, bias}, scaled_norm(x, weight, bias, segments, kEps),
                 plain_norm(x, weight, bias, segments));
  }
}

TEST(ScaledNorm, GradientsAreThoseOfFiniteDifferences) {
  at::manual_seed(5);
  for (const auto& [segments, rows, vectors] : kCases)
    EXPECT_TRUE(
        test::gradcheck([&](const test::Tensors& in) { return scaled_norm(in[0], in[1], in[2], segments, kEps); },
                        {at::randn({rows, 12}, at::kDouble), at::randn({vectors, 12}, at::kDouble),
                         at::randn({vectors, 12}, at::kDouble)}));
}

TEST(ScaledNorm, IsAsGoodAsPlainOperationsInBFloat16) {
  at::manual_seed(2);
  const at::Tensor x = at::randn({29, 12}).to(at::kBFloat16), weight = at::randn({3, 12}), bias = at::randn({3, 12});
  const at::Tensor exact =
      plain_norm(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble), kCases[0].segments);
  const at::Tensor plain = plain_norm(x, weight.to(at::kBFloat16), bias.to(at::kBFloat16), kCases[0].segments);
  const at::Tensor actual = scaled_norm(x, weight, bias, video_segments(kLayout), kEps);
  EXPECT_EQ(actual.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(as_good_as(actual, plain, exact, 1.0));
}

TEST(ScaledNorm, AFrozenWeightLeavesTheBiasItsGradient) {
  const at::Tensor x = variable({29, 12}), weight = at::ones({3, 12}, at::kDouble), bias = variable({3, 12});
  scaled_norm(x, weight, bias, video_segments(kLayout), kEps).sum().backward();
  EXPECT_TRUE(close(bias.grad(), at::tensor({12.0, 12.0, 5.0}, at::kDouble).unsqueeze(1).expand({3, 12}), 1e-12));
}

TEST(GatedResidual, EqualsPlainOperationsRowByRow) {
  at::manual_seed(3);
  for (const auto& [segments, rows, vectors] : kCases) {
    const at::Tensor x = variable({rows, 12}), branch = variable({rows, 12}), gate = variable({vectors, 12});
    expect_equal({x, branch, gate}, gated_residual(x, branch, gate, segments), x + branch * per_row(gate, segments));
  }
}

TEST(GatedResidual, GradientsAreThoseOfFiniteDifferences) {
  at::manual_seed(6);
  for (const auto& [segments, rows, vectors] : kCases)
    EXPECT_TRUE(test::gradcheck([&](const test::Tensors& in) { return gated_residual(in[0], in[1], in[2], segments); },
                                {at::randn({rows, 12}, at::kDouble), at::randn({rows, 12}, at::kDouble),
                                 at::randn({vectors, 12}, at::kDouble)}));
}

TEST(ResidualNorm, IsTheNormOfTheResidual) {
  at::manual_seed(4);
  for (const auto& [segments, rows, vectors] : kCases) {
    const at::Tensor x = variable({rows, 12}), branch = variable({rows, 12}), weight = variable({vectors, 12});
    const at::Tensor bias = variable({vectors, 12}), gate = variable({vectors, 12});
    const auto expect = [&](const Residual& residual, const at::Tensor& sum) {
      const Normed normed = residual_norm(residual, weight, bias, segments, kEps);
      EXPECT_TRUE(close(normed.x, sum, 1e-12));
      EXPECT_TRUE(close(normed.y, plain_norm(sum, weight, bias, segments), 1e-12));
    };
    expect({.x = x}, x);
    expect({.x = x, .branch = branch}, x + branch);
    expect({.x = x, .branch = branch, .gate = gate}, x + branch * per_row(gate, segments));
  }
}

TEST(ResidualNorm, ABranchAndGateThatDoNotFitAreNamed) {
  const at::Tensor x = at::randn({29, 12}), weight = at::ones({3, 12}), bias = at::zeros({3, 12}), gate = weight;
  const auto error = [&](const Residual& residual) {
    return test::error_of([&] { residual_norm(residual, weight, bias, video_segments(kLayout), kEps); });
  };
  EXPECT_EQ(error({.x = x, .gate = gate}), "residual_norm: a gate of [3, 12] and no branch, expected both");
  EXPECT_EQ(error({.x = x, .branch = x.slice(0, 1), .gate = gate}),
            "residual_norm: branch [28, 12], expected [29, 12]");
}

TEST(AffineNorm, GivesAllSegmentsTheSameWeight) {
  for (const auto& [segments, rows, vectors] : kCases) {
    AffineNorm norm(12, kEps);
    norm->initialise();
    norm->to(at::kDouble);
    const at::Tensor x = variable({rows, 12});
    norm(Residual{.x = x}, segments).y.sum().backward();
    EXPECT_TRUE(close(norm->bias.grad(), at::full({12}, static_cast<double>(rows), at::kDouble), 1e-12));
  }
}

TEST(GatedResidual, RowsThatDoNotFitTheSegmentsAreRefused) {
  const at::Tensor x = at::randn({28, 12});
  EXPECT_EQ(test::error_of([&] {
              gated_residual(x, x, at::ones({3, 12}), video_segments(kLayout));
            }),
            "gated_residual: 28 rows, the segments have 29");
}

}  // namespace
}  // namespace moga
