// Calibration's observers on a small transformer: the sample is bounded, and scores are correct.
#include "moga/model/calibration.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/model/wan/transformer_cases.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"

namespace moga {
namespace {

using test::random_input;
using test::random_transformer;
using test::small_config;

const VideoShape kVideo{5, 2, 4, {2, 3}};  // 40 tokens

void observe(Transformer& model, const AttentionObserver& observer) {
  const at::NoGradGuard no_grad;
  VideoModelInput input = random_input(small_config(), {kVideo});
  input.observer = observer;
  model->forward(input, at::kFloat);
}

// Calibrated on two timesteps, measured on a third.
std::map<std::string, RouterScore> scores_of(const TransformerConfig& config, int64_t layer) {
  at::manual_seed(1);
  Transformer model = random_transformer(config);
  RouterInputs inputs(2, 100, 1);
  for (const int64_t set : {0, 1}) observe(model, inputs.observer(set));
  std::vector<LayerCalibration> layers = inputs.fit(*model, RouterMethod::kAuto, {}, at::kCPU);
  RouterMeasurement measurement(*model, layers, 1, at::kCPU);
  observe(model, measurement.observer({{kVideo}}));
  measurement.choose(layers);
  return layers.at(layer).scores;
}

TEST(Calibration, FitsTheLayersThatRoute) {
  TransformerConfig config = small_config();
  config.moga.full_layers = {0};
  Transformer model = random_transformer(config);
  RouterInputs inputs(1, 50, 1);
  observe(model, inputs.observer(0));
  const std::vector<LayerCalibration> layers = inputs.fit(*model, RouterMethod::kAttention, {}, at::kCPU);
  ASSERT_EQ(layers.size(), 1u);
  EXPECT_EQ(layers[0].layer, 1);
  EXPECT_EQ(layers[0].candidates.at("attention").weight.sizes(), at::IntArrayRef({3, 32}));
}

TEST(Calibration, ScoresEachRouter) {
  const auto scores = scores_of(small_config(), 1);
  for (const char* name : {"tokens", "attention", "spread", "calibrated", "random", "trained"}) {
    const RouterScore& score = scores.at(name);
    EXPECT_LE(score.smallest, 1.0 / 3) << name;
    EXPECT_GE(score.largest, 1.0 / 3) << name;
    EXPECT_GT(score.error_lse, 0) << name;
    EXPECT_LT(score.error_mean, 1) << name;
  }
  EXPECT_EQ(scores_of(test::full_attention(small_config()), 0).count("trained"), 0);
}

TEST(Calibration, OneGroupAloneHasNoError) {
  TransformerConfig config = small_config();
  config.moga.groups = 1;
  config.moga.gate = Gate::kNone;
  config.moga.window = config.moga.frame = false;
  const RouterScore score = scores_of(config, 0).at("calibrated");
  EXPECT_EQ(score.smallest, 1);
  EXPECT_EQ(score.gate, 1);
  EXPECT_LT(std::max(score.error_mean, score.error_lse), 1e-6);
}

TEST(Calibration, NeedsAModelThatCanRoute) {
  TransformerConfig config = small_config();
  config.moga.routed = false;
  EXPECT_EQ(test::error_of([&] { calibrated_attention(config); }),
            "calibration: routed = false in the model's config, so it has no routers to calibrate");
  EXPECT_EQ(calibrated_attention(test::full_attention(small_config())).kind, AttentionKind::kMoga);
}

}  // namespace
}  // namespace moga
