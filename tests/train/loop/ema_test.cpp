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

}  // namespace
}  // namespace moga
