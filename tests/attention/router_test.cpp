// The router's choice, gate and balance loss against their formulas and finite differences.
#include "moga/attention/router.h"

#include <torch/autograd.h>
#include <torch/types.h>

#include "moga/core/check.h"
#include "moga/core/random.h"
#include "tests/support/gradcheck.h"

namespace moga::test {
namespace {

const Layout kLayout{{{2, 2, 3, {}}, {1, 2, 4, {}}}};  // 12 + 8 tokens

at::Tensor random(at::IntArrayRef shape, uint64_t seed) {
  return at::randn(shape, random_stream(seed, "router_test"), at::kDouble);
}

// A router whose parameters are the given tensors, so that gradients reach them.
Router router(const at::Tensor& weight, const at::Tensor& bias, const std::string& gate = "probability") {
  Router made(weight.size(1), weight.size(0), gate);
  made->weight = weight;
  made->bias = bias;
  return made;
}

Routing route(const Tensors& x, const std::string& gate = "probability") {
  return router(x[1], x[2], gate)->forward(x[0], kLayout);
}

const Tensors kInputs{random({20, 4}, 1), random({3, 4}, 2), random({3}, 3)};  // x, weight, bias

TEST(Router, RoutesToTheMostProbableGroup) {
  const Routing routing = route(kInputs);
  const at::Tensor expected = at::softmax(at::linear(kInputs[0], kInputs[1], kInputs[2]), 1);
  EXPECT_TRUE(close(routing.probabilities, expected, 1e-14));
  EXPECT_TRUE(at::equal(routing.group, expected.argmax(1)));
  EXPECT_TRUE(close(routing.gate, std::get<0>(expected.max(1)), 1e-14));
}

TEST(Router, TakesTheLowestIndexOnATie) {
  const at::Tensor weight = at::zeros({4, 2}), x = at::randn({20, 2});
  const Routing two = router(weight, at::tensor({0.0f, 1.0f, 1.0f, 0.5f}))->forward(x, kLayout);
  EXPECT_TRUE(at::equal(two.group, at::ones({20}, at::kLong)));
  const Routing all = router(weight, at::zeros({4}))->forward(x, kLayout);
  EXPECT_TRUE(at::equal(all.group, at::zeros({20}, at::kLong)));
}

TEST(Router, NanStaysInsideItsRow) {
  at::Tensor x = kInputs[0].clone();
  x[5] = NAN;
  const Routing routing = route({x, kInputs[1], kInputs[2]});
  EXPECT_TRUE(routing.gate[5].isnan().item<bool>());
  EXPECT_LT(routing.group[5].item<int64_t>(), 3);
  EXPECT_EQ(routing.gate.isnan().sum().item<int64_t>(), 1);
}

TEST(Router, ComputesLogitsOfBfloat16InFloat32) {
  const at::Tensor x = kInputs[0].to(at::kBFloat16), weight = kInputs[1].to(at::kBFloat16);
  const Routing routing = router(weight, kInputs[2].to(at::kFloat))->forward(x, kLayout);
  const at::Tensor expected = at::softmax(at::linear(x.to(at::kDouble), weight.to(at::kDouble), kInputs[2]), 1);
  EXPECT_EQ(routing.probabilities.scalar_type(), at::kFloat);
  EXPECT_TRUE(close(routing.probabilities, expected, 1e-6));
}

TEST(Router, GateGradientEqualsFiniteDifferences) {
  EXPECT_TRUE(gradcheck([](const Tensors& x) { return route(x).gate; }, kInputs));
}

TEST(Router, StraightThroughGateIsOneWithTheGradientOfTheProbability) {
  const at::Tensor weights = random({20}, 4);
  const auto gradients = [&](const std::string& gate) {
    Tensors leaves;
    for (const at::Tensor& input : kInputs) leaves.push_back(input.clone().requires_grad_());
    const at::Tensor value = route(leaves, gate).gate;
    EXPECT_EQ(at::equal(value, at::ones({20}, at::kDouble)), gate == "straight_through");
    return torch::autograd::grad({(value * weights).sum()}, leaves);
  };
  const auto straight = gradients("straight_through"), probability = gradients("probability");
  for (size_t i = 0; i < kInputs.size(); ++i) EXPECT_TRUE(close(straight[i], probability[i], 1e-14));
  EXPECT_FALSE(route(kInputs, "none").gate.defined());
}

TEST(BalanceLoss, GradientEqualsFiniteDifferences) {
  for (const std::string form : {"switch", "paper"})
    EXPECT_TRUE(gradcheck([&](const Tensors& x) { return balance_loss(route(x), kLayout, form); }, kInputs)) << form;
}

TEST(BalanceLoss, EqualsItsFormula) {
  const Layout layout{{{20, 1, 1, {}}}};
  const Routing routing = router(kInputs[1], kInputs[2])->forward(kInputs[0], layout);
  double switched = 0, paper = 0;
  for (int64_t i = 0; i < 3; ++i) {
    const at::Tensor mine = (routing.group == i).to(at::kDouble), p = routing.probabilities.select(1, i);
    switched += 3 * mine.mean().item<double>() * p.mean().item<double>();
    paper += 3 * mine.mean().item<double>() * (mine * p).mean().item<double>();
  }
  EXPECT_NEAR(balance_loss(routing, layout, "switch").item<double>(), switched, 1e-12);
  EXPECT_NEAR(balance_loss(routing, layout, "paper").item<double>(), paper, 1e-12);
  EXPECT_THROW(balance_loss(routing, layout, "none"), Error);
}

TEST(BalanceLoss, IsOneAtBalanceAndMWhenAllTokensShareAGroup) {
  const at::Tensor one_hot = at::eye(4).repeat({5, 1}) * 100;
  const auto loss = [&](const at::Tensor& x) {
    return balance_loss(router(at::eye(4), at::zeros({4}))->forward(x, kLayout), kLayout).item<double>();
  };
  EXPECT_NEAR(loss(one_hot), 1.0, 1e-6);
  EXPECT_NEAR(loss(one_hot[2].expand({20, 4})), 4.0, 1e-6);
}

TEST(BalanceLoss, OfABatchIsTheMeanOfItsVideos) {
  for (const std::string form : {"switch", "paper"}) {
    double mean = 0;
    const auto offsets = kLayout.video_offsets();
    for (size_t b = 0; b < 2; ++b) {
      const Layout single{{kLayout.videos[b]}};
      const at::Tensor x = kInputs[0].slice(0, offsets[b], offsets[b + 1]);
      mean += balance_loss(router(kInputs[1], kInputs[2])->forward(x, single), single, form).item<double>() / 2;
    }
    EXPECT_NEAR(balance_loss(route(kInputs), kLayout, form).item<double>(), mean, 1e-12) << form;
  }
}

TEST(Router, CountsTokensOfEachVideoAndGroup) {
  const Routing routing = route(kInputs);
  const at::Tensor histogram = group_histogram(routing, kLayout);
  EXPECT_TRUE(at::equal(histogram[0], at::bincount(routing.group.slice(0, 0, 12), {}, 3)));
  EXPECT_TRUE(at::equal(histogram[1], at::bincount(routing.group.slice(0, 12), {}, 3)));
}

TEST(Router, RefusesWrongWidthsAndGates) {
  EXPECT_THROW(Router(4, 3, "soft"), Error);
  EXPECT_THROW(Router(4, 3)->forward(at::zeros({20, 5}), kLayout), Error);
  EXPECT_THROW(Router(4, 3)->forward(at::zeros({19, 4}), kLayout), Error);
}

}  // namespace
}  // namespace moga::test
