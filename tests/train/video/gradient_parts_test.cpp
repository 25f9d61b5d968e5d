// Every parameter has a part; the squares of the parts' norms add up to that of the gradient.
#include "moga/train/video/gradient_parts.h"

#include <ATen/ATen.h>

#include <cmath>

#include "moga/train/video/task.h"
#include "tests/train/tiny_run.h"

namespace moga {
namespace {

TEST(GradientParts, GoByName) {
  EXPECT_EQ(gradient_part("transformer.blocks.12.self_attn.q.weight"), "attention_q");
  EXPECT_EQ(gradient_part("transformer.blocks.12.self_attn.norm_q.weight"), "norms");
  EXPECT_EQ(gradient_part("transformer.blocks.0.self_attn.router.bias"), "router");
  EXPECT_EQ(gradient_part("transformer.blocks.0.cross_attn.k_img.weight"), "cross_attention");
  EXPECT_EQ(gradient_part("transformer.head.head.weight"), "head");
  EXPECT_EQ(gradient_part("transformer.head.modulation"), "modulation");
  EXPECT_EQ(gradient_part("text_encoder.shared.weight"), "text_encoder");
  EXPECT_EQ(gradient_part("transformer.blocks.3.something.weight"), "other");
}

TEST(GradientParts, OfWanHaveNoOthersAndAddUp) {
  const test::Folder run;
  const TrainConfig config = test::tiny_config(run.path());
  VideoTask task(config);
  TrainState& state = task.state();
  const TrainData data = task.load_data(config.stage[0].data, 0);
  const StepInput input = {.step = 3, .lr = 1e-3, .pieces = {data.batch({{0}, {1}})}};
  state.accumulate_gradient(input);
  double router = 0, layer = 0;
  for (const auto& [name, parameter] : state.models().parameters()) {
    const double square = parameter.grad().defined() ? parameter.grad().square().sum().item<double>() : 0;
    if (name.find(".router.") != std::string::npos) router += square;
    if (name.find("blocks.1.") != std::string::npos) layer += square;
  }
  state.drop_gradient();
  const StepResult result = state.train_step(input);
  nlohmann::json line;
  const at::Tensor norms = result.gradient_norms.to(at::kDouble).contiguous();
  state.gradient_parts().complete(line,
                                  {norms.const_data_ptr<double>(), norms.const_data_ptr<double>() + norms.numel()});
  double sum = 0;
  for (const auto& [part, norm] : line.at("gradient_norms").items()) sum += std::pow(norm.get<double>(), 2);
  const double whole = result.gradient_norm.item<double>();
  EXPECT_NEAR(std::sqrt(sum), whole, 1e-5 * whole);
  EXPECT_NEAR(line.at("gradient_norms").at("router").get<double>(), std::sqrt(router), 1e-5 * whole);
  EXPECT_NEAR(line.at("gradient_norm_layers").at(1).get<double>(), std::sqrt(layer), 1e-5 * whole);
  EXPECT_FALSE(line.at("gradient_norms").contains("other"));
}

}  // namespace
}  // namespace moga
