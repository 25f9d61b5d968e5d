// AdamW against its formula in float64, clipping, and steps that are not taken.
#include "moga/train/loop/optimizer.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <limits>

#include "moga/core/check.h"
#include "tests/support/compare.h"

namespace moga {
namespace {

NamedTensors two_weights() {
  torch::manual_seed(3);
  return {{"matrix", torch::randn({3, 4}).requires_grad_()}, {"vector", torch::randn({5}).requires_grad_()}};
}

void set_gradients(const NamedTensors& weights, int64_t step) {
  torch::manual_seed(100 + step);
  for (const auto& item : weights) item.second.mutable_grad() = torch::randn_like(item.second).detach();
}

TEST(AdamW, FollowsItsFormula) {
  const OptimizerConfig config = {.weight_decay = 0.1, .clip = 0.5};
  const NamedTensors weights = two_weights();
  std::vector<at::Tensor> w, m, v;
  for (const auto& item : weights) {
    w.push_back(item.second.detach().to(at::kDouble).clone());
    m.push_back(at::zeros_like(w.back()));
    v.push_back(at::zeros_like(w.back()));
  }
  AdamW optimizer(weights, config);
  for (int64_t step = 1; step <= 3; ++step) {
    set_gradients(weights, step);
    const double norm = at::cat({weights[0].second.grad().flatten(), weights[1].second.grad()}).norm().item<double>();
    for (size_t i = 0; i < 2; ++i) {
      const at::Tensor g = weights[i].second.grad().to(at::kDouble) * std::min(1.0, config.clip / norm);
      m[i] = config.beta1 * m[i] + (1 - config.beta1) * g;
      v[i] = config.beta2 * v[i] + (1 - config.beta2) * g * g;
      w[i] = w[i] * (1 - 0.01 * (i == 0 ? config.weight_decay : 0)) -
             0.01 * (m[i] / (1 - std::pow(config.beta1, step))) /
                 ((v[i] / (1 - std::pow(config.beta2, step))).sqrt() + config.epsilon);
    }
    EXPECT_NEAR(optimizer.step(0.01).gradient_norm.item<double>(), norm, 1e-5);
  }
  for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(test::close(weights[i].second.to(at::kDouble), w[i], 1e-6));
}

TEST(AdamW, LeavesEverythingAsItWasWhenAGradientIsNotFinite) {
  const NamedTensors weights = two_weights(), twins = two_weights();
  AdamW optimizer(weights, {}), twin(twins, {});
  set_gradients(weights, 1);
  weights[0].second.mutable_grad()[0][0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(optimizer.step(0.01).skipped.item<float>(), 1);
  for (const NamedTensors& both : {weights, twins}) set_gradients(both, 2);
  EXPECT_EQ(optimizer.step(0.01).skipped.item<float>(), 0);
  twin.step(0.01);
  for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(at::equal(weights[i].second, twins[i].second));
}

TEST(AdamW, GoesOnFromItsState) {
  const NamedTensors weights = two_weights(), twins = two_weights();
  AdamW optimizer(weights, {});
  set_gradients(weights, 1);
  optimizer.step(0.01);
  AdamW twin(twins, {});
  restore(twins, to_map(weights), "weights");
  restore(twin.state(), to_map(optimizer.state()), "state");
  for (const NamedTensors& both : {weights, twins}) set_gradients(both, 2);
  optimizer.step(0.01);
  twin.step(0.01);
  for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(at::equal(weights[i].second, twins[i].second));
}

TEST(AdamW, WantsFloat32Masters) {
  EXPECT_THROW(AdamW({{"w", torch::zeros({2}, at::kBFloat16).requires_grad_()}}, {}), Error);
  EXPECT_THROW(AdamW({}, {}), Error);
}

}  // namespace
}  // namespace moga
