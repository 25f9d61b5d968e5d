// AdamW against its formula in float64, clipping, and steps that are not taken.
#include "moga/train/loop/optimizer.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <limits>

#include "tests/support/compare.h"
#include "tests/support/error.h"

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
  const NamedTensors narrow = {{"w", torch::zeros({2}, at::kBFloat16).requires_grad_()}};
  EXPECT_NE(test::error_of([&] { AdamW(narrow, {}); }).find("w is BFloat16: masters must be float32"),
            std::string::npos);
  EXPECT_NE(test::error_of([] { AdamW(NamedTensors(), {}); }).find("nothing to train"), std::string::npos);
}

// The weights of two_weights() in bfloat16, and their masters.
std::pair<NamedTensors, NamedTensors> rounded_weights() {
  const NamedTensors weights = two_weights();
  const NamedTensors masters = store_in_bfloat16(weights, [](const std::string&) { return true; });
  return {weights, masters};
}

TEST(AdamW, MastersOfBfloat16WeightsFollowTheFloat32Run) {
  const auto [weights, masters] = rounded_weights();
  const NamedTensors wide = two_weights();
  AdamW optimizer(weights, masters, {}, 1), reference(wide, {});
  for (int64_t step = 0; step < 3; ++step) {
    set_gradients(wide, step);
    for (size_t i = 0; i < 2; ++i) {
      weights[i].second.mutable_grad() = wide[i].second.grad().to(at::kBFloat16);
      wide[i].second.mutable_grad() = weights[i].second.grad().to(at::kFloat);
    }
    optimizer.step(0.01, step);
    reference.step(0.01);
  }
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(test::close(masters[i].second, wide[i].second, 1e-6));
    EXPECT_TRUE(at::equal(weights[i].second, masters[i].second.to(at::kBFloat16)));
  }
}

TEST(AdamW, PiecesOfABatchAreSummedInFloat32) {
  const auto [weights, masters] = rounded_weights();
  AdamW optimizer(weights, masters, {}, 1);
  const auto piece = [&](double value) {
    for (const auto& item : weights) item.second.mutable_grad() = torch::full_like(item.second, value).detach();
    optimizer.accumulate();
  };
  piece(1);
  for (int i = 0; i < 64; ++i) piece(1.0 / 512);  // each vanishes in a bfloat16 sum
  EXPECT_NEAR(optimizer.step(0.0).gradient_norm.item<double>(), 1.125 * std::sqrt(17.0), 1e-5);
}

TEST(AdamW, Bfloat16MomentsStayCloseAndAreReproduced) {
  const OptimizerConfig rounded = {.moments = Storage::kBfloat16};
  const NamedTensors weights = two_weights(), twins = two_weights(), wide = two_weights();
  AdamW optimizer(weights, weights, rounded, 1), twin(twins, twins, rounded, 1), reference(wide, {});
  for (int64_t step = 0; step < 50; ++step) {
    for (const NamedTensors& all : {weights, twins, wide}) set_gradients(all, step);
    optimizer.step(0.01, step);
    twin.step(0.01, step);
    reference.step(0.01);
  }
  EXPECT_EQ(optimizer.state()[1].second.scalar_type(), at::kBFloat16);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(at::equal(weights[i].second, twins[i].second));
    EXPECT_TRUE(test::close(weights[i].second, wide[i].second, 2e-2));
    EXPECT_FALSE(at::equal(weights[i].second, wide[i].second));
  }
}

TEST(AdamW, RestoredMastersAreWrittenToTheWeights) {
  const auto [weights, masters] = rounded_weights();
  AdamW optimizer(weights, masters, {}, 1);
  for (const auto& item : masters) item.second.fill_(2);
  optimizer.write_weights();
  for (const auto& item : weights) EXPECT_EQ(item.second.detach().to(at::kFloat).mean().item<float>(), 2);
}

}  // namespace
}  // namespace moga
