// The moving average of weights, and its scope.
#include "moga/train/loop/ema.h"

#include <torch/types.h>

#include "tests/support/compare.h"

namespace moga {
namespace {

TEST(Ema, ForgetsTheStartAndThenDecays) {
  const NamedTensors weights = {{"w", torch::zeros({2}).requires_grad_()}};
  Ema ema(weights, 0.5);
  weights[0].second.data().fill_(1);
  ema.update(0);  // decay 1/10
  EXPECT_TRUE(test::close(ema.weights()[0].second, torch::full({2}, 0.9), 1e-6));
  ema.update(1000);  // decay 0.5
  EXPECT_TRUE(test::close(ema.weights()[0].second, torch::full({2}, 0.95), 1e-6));
}

TEST(Ema, StandsInForTheWeightsInsideItsScopeOnly) {
  const NamedTensors weights = {{"w", torch::zeros({2}).requires_grad_()}};
  Ema ema(weights, 0.5);
  weights[0].second.data().fill_(1);
  {
    const EmaScope averaged(ema);
    EXPECT_EQ(weights[0].second.sum().item<float>(), 0);
  }
  EXPECT_EQ(weights[0].second.sum().item<float>(), 2);
  EXPECT_EQ(ema.weights()[0].second.sum().item<float>(), 0);
}

TEST(Ema, OnTheHostIsTheSameAverage) {
  const NamedTensors weights = {{"w", torch::zeros({64}).requires_grad_()}};
  Ema device(weights, 0.9), host(weights, weights, 0.9, EmaPlace::kHost);
  for (int64_t step = 0; step < 5; ++step) {
    weights[0].second.data().add_(torch::arange(64) * 0.1f);
    device.update(step);
    host.update(step);
  }
  EXPECT_TRUE(at::equal(host.weights()[0].second, device.weights()[0].second));
  const at::Tensor before = weights[0].second.detach().clone();
  {
    const EmaScope averaged(host);
    EXPECT_TRUE(at::equal(weights[0].second, device.weights()[0].second));
  }
  EXPECT_TRUE(at::equal(weights[0].second, before));
}

TEST(Ema, OfMastersStandsInForTheirRoundedWeights) {
  const at::Tensor master = torch::full({8}, 1.0f + 1.0f / 512);
  const NamedTensors masters = {{"w", master.clone()}}, weights = {{"w", master.to(at::kBFloat16).requires_grad_()}};
  for (const EmaPlace place : {EmaPlace::kDevice, EmaPlace::kHost}) {
    Ema ema(weights, masters, 0.5, place);
    EXPECT_TRUE(at::equal(ema.weights()[0].second, master));
    masters[0].second.fill_(3);
    {
      const EmaScope averaged(ema);
      EXPECT_TRUE(at::equal(weights[0].second, master.to(at::kBFloat16)));
    }
    EXPECT_EQ(weights[0].second.sum().item<float>(), 24);
    masters[0].second.copy_(master);
  }
}

TEST(Ema, WithoutDecayIsNotKept) {
  const NamedTensors weights = {{"w", torch::ones({2}).requires_grad_()}};
  Ema ema(weights, 0);
  ema.update(0);
  const EmaScope averaged(ema);
  EXPECT_TRUE(ema.weights().empty());
  EXPECT_EQ(weights[0].second.sum().item<float>(), 2);
}

}  // namespace
}  // namespace moga
