// Norms, gates and the q/k norm against plain operations, with gradients.
#include "moga/model/layers/norm.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>

#include "moga/core/check.h"
#include "tests/support/compare.h"

namespace moga {
namespace {

using test::as_good_as;
using test::close;

constexpr double kEps = 1e-6;

// Three videos of two sizes, 12 channels.
const Layout kLayout = {{{.frames = 2, .rows = 2, .columns = 3, .shot_frames = {}},
                         {.frames = 3, .rows = 2, .columns = 2, .shot_frames = {}},
                         {.frames = 1, .rows = 1, .columns = 5, .shot_frames = {}}}};
const at::Tensor kVideoOfToken = at::repeat_interleave(at::tensor({12, 12, 5}, at::kLong));

at::Tensor variable(at::IntArrayRef shape) { return at::randn(shape, at::kDouble).mul_(2).add_(0.5).requires_grad_(); }

at::Tensor plain_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return at::layer_norm(x, {12}, {}, {}, kEps) * weight.index({kVideoOfToken}) + bias.index({kVideoOfToken});
}

TEST(ScaledNorm, EqualsPlainOperationsWithGradients) {
  at::manual_seed(1);
  const std::vector<at::Tensor> inputs = {variable({29, 12}), variable({3, 12}), variable({3, 12})};
  const at::Tensor expected = plain_norm(inputs[0], inputs[1], inputs[2]);
  const at::Tensor actual = scaled_norm(inputs[0], inputs[1], inputs[2], kLayout.equal_videos(), kEps);
  EXPECT_TRUE(close(actual, expected, 1e-12));
  const at::Tensor pull = at::randn_like(expected);
  const auto want = torch::autograd::grad({expected}, inputs, {pull});
  const auto have = torch::autograd::grad({actual}, inputs, {pull});
  for (size_t i = 0; i < inputs.size(); ++i) EXPECT_TRUE(close(have[i], want[i], 1e-12)) << i;
}

TEST(ScaledNorm, IsAsGoodAsPlainOperationsInBFloat16) {
  at::manual_seed(2);
  const at::Tensor x = at::randn({29, 12}).to(at::kBFloat16), weight = at::randn({3, 12}), bias = at::randn({3, 12});
  const at::Tensor exact = plain_norm(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble));
  const at::Tensor plain = plain_norm(x, weight.to(at::kBFloat16), bias.to(at::kBFloat16));
  const at::Tensor actual = scaled_norm(x, weight, bias, kLayout.equal_videos(), kEps);
  EXPECT_EQ(actual.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(as_good_as(actual, plain, exact, 1.0));
}

TEST(ScaledNorm, AFrozenWeightLeavesTheBiasItsGradient) {
  const at::Tensor x = variable({29, 12}), weight = at::ones({3, 12}, at::kDouble), bias = variable({3, 12});
  scaled_norm(x, weight, bias, kLayout.equal_videos(), kEps).sum().backward();
  EXPECT_TRUE(close(bias.grad(), at::tensor({12.0, 12.0, 5.0}, at::kDouble).unsqueeze(1).expand({3, 12}), 1e-12));
}

TEST(GatedResidual, EqualsPlainOperationsWithGradients) {
  at::manual_seed(3);
  const std::vector<at::Tensor> inputs = {variable({29, 12}), variable({29, 12}), variable({3, 12})};
  const at::Tensor expected = inputs[0] + inputs[1] * inputs[2].index({kVideoOfToken});
  const at::Tensor actual = gated_residual(inputs[0], inputs[1], inputs[2], kLayout.equal_videos());
  EXPECT_TRUE(close(actual, expected, 1e-12));
  const at::Tensor pull = at::randn_like(expected);
  const auto want = torch::autograd::grad({expected}, inputs, {pull});
  const auto have = torch::autograd::grad({actual}, inputs, {pull});
  for (size_t i = 0; i < inputs.size(); ++i) EXPECT_TRUE(close(have[i], want[i], 1e-12)) << i;
}

TEST(ResidualNorm, IsTheNormOfTheResidual) {
  at::manual_seed(4);
  const at::Tensor x = variable({29, 12}), branch = variable({29, 12}), weight = variable({3, 12});
  const at::Tensor bias = variable({3, 12}), gate = variable({3, 12});
  const Spans spans = kLayout.equal_videos();
  const auto expect = [&](const Residual& residual, const at::Tensor& sum) {
    const Normed normed = residual_norm(residual, weight, bias, spans, kEps);
    EXPECT_TRUE(close(normed.x, sum, 1e-12));
    EXPECT_TRUE(close(normed.y, plain_norm(sum, weight, bias), 1e-12));
  };
  expect({.x = x}, x);
  expect({.x = x, .branch = branch}, x + branch);
  expect({.x = x, .branch = branch, .gate = gate}, x + branch * gate.index({kVideoOfToken}));
  EXPECT_THROW(residual_norm({.x = x, .gate = gate}, weight, bias, spans, kEps), Error);
}

TEST(GatedResidual, RowsThatDoNotFitTheVideosAreRefused) {
  const at::Tensor x = at::randn({28, 12});
  EXPECT_THROW(gated_residual(x, x, at::ones({3, 12}), kLayout.equal_videos()), Error);
}

TEST(QkNorm, DividesByTheRootMeanSquareOverAllHeads) {
  QkNorm norm(12, kEps);
  norm->initialise();
  const at::Tensor x = at::randn({5, 12}) * 3;
  EXPECT_TRUE(close(norm(x, at::Tensor(), 2).detach().flatten(1), x * (x.square().mean(1, true) + kEps).rsqrt(), 1e-6));
}

}  // namespace
}  // namespace moga
