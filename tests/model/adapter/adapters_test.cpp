// LoRA files on a model: parity with diffusers' load_lora_weights on the files of tools/make_fixtures_lora.py,
// requests.
#include "moga/model/adapter/adapters.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "moga/core/module_io.h"
#include "moga/model/layers/product_weight.h"
#include "tests/model/wan/transformer_cases.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

constexpr const char* kLoras = MOGA_FIXTURES "/lora/";

LoraRequest lora(const std::string& name, double weight) {
  return {.file = kLoras + name + ".safetensors", .weight = weight};
}

// The transformer of make_fixtures_transformer.py with these LoRAs.
class LoraParity : public testing::Test {
 protected:
  void adapt(const std::vector<LoraRequest>& requests, at::ScalarType dtype = at::kFloat) {
    Adapters({.loras = requests}, model_->config()).adapt(at::kCPU, dtype)(*model_);
  }
  at::Tensor velocity() {
    const at::NoGradGuard no_grad;
    const at::Tensor latent = base_.load("latent");
    const VideoShape video = {.frames = 3, .rows = 3, .columns = 4, .shot_frames = {}};
    return at::stack(model_
                         ->forward({.latents = {latent[0], latent[1]},
                                    .timestep = base_.load("timestep"),
                                    .text = base_.load("text"),
                                    .layout = {{video, video}}},
                                   at::kFloat)
                         .velocity);
  }
  at::Tensor expected(const std::string& name) {
    return Safetensors(std::string(kLoras) + "velocities.safetensors").load(name);
  }

  Safetensors base_{MOGA_FIXTURES "/transformer.safetensors"};
  Transformer model_ = [this] {
    Transformer model(test::full_attention(test::small_config()));
    LoadOptions options;
    options.file_name_of = [](const std::string& name) { return "weights." + diffusers_name(name).value(); };
    load_parameters(*model, base_, options);
    return model;
  }();
};

TEST_F(LoraParity, KohyasNamesWithAlpha) {
  adapt({lora("kohya", 0.7)});
  EXPECT_TRUE(test::close(velocity(), expected("kohya"), 1e-5));
}

TEST_F(LoraParity, ComfyUisNamesWithDifferences) {
  adapt({lora("comfyui", 0.7)});
  EXPECT_TRUE(test::close(velocity(), expected("comfyui"), 1e-5));
}

TEST_F(LoraParity, DiffusersNamesWithAlphaInTheMetadata) {
  adapt({lora("diffusers", 0.7)});
  EXPECT_TRUE(test::close(velocity(), expected("diffusers"), 1e-5));
}

TEST_F(LoraParity, TwoAtOnceAndTheTrainedWay) {
  adapt({lora("kohya", 1.0), lora("diffusers", 0.5)});
  EXPECT_TRUE(test::close(velocity(), expected("both"), 1e-5));
  const at::Tensor x = at::randn({7, 32});
  for (const auto& module : model_->modules()) {
    auto* layer = module->as<LinearImpl>();
    if (!layer || !layer->has_low_rank() || layer->in() != 32) continue;
    const at::Tensor trained = layer->forward(x);  // two thin products, with gradients enabled
    const at::NoGradGuard no_grad;
    EXPECT_TRUE(test::close(trained.detach(), layer->forward(x), 1e-5));
  }
}

TEST_F(LoraParity, AnUpdateIsMergedWhenTheModelIsSaved) {
  const test::Folder folder;
  adapt({lora("comfyui", 0.7)});
  save_transformer(folder.path(), model_, at::kFloat);
  model_ = load_transformer(folder.path(), at::kCPU, at::kFloat);
  for (const auto& item : model_->named_parameters()) EXPECT_FALSE(is_low_rank(item.key()));
  EXPECT_TRUE(test::close(velocity(), expected("comfyui"), 1e-5));
}

TEST(LoraRequest, HasWeightAndExpert) {
  const LoraRequest plain = parse_lora_request("a:b.safetensors:0.8"), low = parse_lora_request("low:x.safetensors");
  EXPECT_EQ(plain.file, "a:b.safetensors");
  EXPECT_EQ(plain.weight, 0.8);
  EXPECT_EQ(low.file, "x.safetensors");
  EXPECT_EQ(low.expert, LoraExpert::kLow);
  EXPECT_EQ(test::error_of([] { parse_lora_request("x.safetensors:strong"); }),
            "--lora x.safetensors:strong: 'strong' is no weight; expected FILE or FILE:WEIGHT");
  const TransformerConfig config = test::full_attention(test::small_config());
  LoraRequest high = lora("kohya", 1);
  high.expert = LoraExpert::kHigh;
  EXPECT_NE(test::error_of([&] { Adapters({.loras = {high}}, config); }).find("the model has one transformer"),
            std::string::npos);
}

}  // namespace
}  // namespace moga
