// The router's scores, choice and gate against their formulas and finite differences.
#include "moga/attention/router.h"

#include <torch/autograd.h>
#include <torch/types.h>

#include "moga/core/random.h"
#include "tests/support/error.h"
#include "tests/support/gradcheck.h"

namespace moga::test {
namespace {

const Layout kLayout{{{2, 2, 3, {}}, {1, 2, 4, {}}}};  // 12 + 8 tokens

at::Tensor random(at::IntArrayRef shape, uint64_t seed) {
  return at::randn(shape, random_stream(seed, "router_test"), at::kDouble);
}

// A router whose parameters are the given tensors, so that gradients reach them.
Router router(const at::Tensor& weight, const at::Tensor& bias, Gate gate = Gate::kProbability) {
  Router made(weight.size(1), weight.size(0), gate);
  made->weight = weight;
  made->bias = bias;
  return made;
}

Routing route(const Tensors& x, Gate gate = Gate::kProbability) {
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
  const auto gradients = [&](Gate gate) {
    Tensors leaves;
    for (const at::Tensor& input : kInputs) leaves.push_back(input.clone().requires_grad_());
    const at::Tensor value = route(leaves, gate).gate;
    EXPECT_EQ(at::equal(value, at::ones({20}, at::kDouble)), gate == Gate::kStraightThrough);
    return torch::autograd::grad({(value * weights).sum()}, leaves);
  };
  const auto straight = gradients(Gate::kStraightThrough), probability = gradients(Gate::kProbability);
  for (size_t i = 0; i < kInputs.size(); ++i) EXPECT_TRUE(close(straight[i], probability[i], 1e-14));
  EXPECT_FALSE(route(kInputs, Gate::kNone).gate.defined());
}

TEST(Router, ScoresATokenAloneAsAmongAll) {
  Router made = router(kInputs[1], kInputs[2]);
  const TokenScores all = made->score(kInputs[0]), slice = made->score(kInputs[0].slice(0, 5, 13));
  EXPECT_TRUE(close(slice.probabilities, all.probabilities.slice(0, 5, 13), 1e-14));
  EXPECT_TRUE(at::equal(slice.group, all.group.slice(0, 5, 13)));
  EXPECT_TRUE(close(slice.gate, all.gate.slice(0, 5, 13), 1e-14));
}

TEST(Router, ForwardGroupsTheTokensThatItScored) {
  const Routing routing = route(kInputs);
  const Grouping expected = routed_groups(kLayout, routing.group, 3);
  EXPECT_TRUE(at::equal(routing.grouping.query.index, expected.query.index));
  EXPECT_TRUE(at::equal(routing.grouping.key.offsets, expected.key.offsets));
}

TEST(Router, RefusesOtherWidthsAndLayouts) {
  EXPECT_NE(error_of([] { Router(4, 3)->score(at::zeros({20, 5})); }).find("expected [N, 4]"), std::string::npos);
  EXPECT_NE(error_of([] {
              Router(4, 3)->forward(at::zeros({19, 4}), kLayout);
            }).find("expected [20]"),
            std::string::npos);
  EXPECT_NE(error_of([] { Router(4, 0); }).find("to 0 groups"), std::string::npos);
}

}  // namespace
}  // namespace moga::test
