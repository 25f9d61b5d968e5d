// An exported folder contains the same model under other names.
#include "moga/pipeline/export.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/module_io.h"
#include "moga/core/safetensors.h"
#include "moga/model/layers/product_weight.h"
#include "tests/pipeline/tiny_folder.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"

namespace moga {
namespace {

void expect_equal(const torch::nn::Module& actual, const torch::nn::Module& expected) {
  const TensorMap tensors = named_tensors(actual);
  for (const auto& [name, tensor] : named_tensors(expected)) EXPECT_TRUE(at::equal(tensors.at(name), tensor)) << name;
}

TEST(Export, KeepsEveryWeightInBothLayouts) {
  const Models expected = test::tiny_models();
  for (const WeightLayout layout : {WeightLayout::kDiffusers, WeightLayout::kWan}) {
    test::Folder folder;
    export_model_folder(test::tiny_folder(), folder / "model", {.layout = layout});
    const Models models = load_models(folder / "model", at::kCPU, at::kFloat);
    expect_equal(*models.transformer, *expected.transformer);
    expect_equal(*models.text_encoder, *expected.text_encoder);
    expect_equal(*models.vae, *expected.vae);
    const bool diffusers = layout == WeightLayout::kDiffusers;
    EXPECT_EQ(Safetensors(folder / "model/transformer").contains("blocks.1.attn1.router.weight"), diffusers);
    EXPECT_EQ(Safetensors(folder / "model/text_encoder").contains("shared.weight"), diffusers);
    EXPECT_EQ(Safetensors(folder / "model/vae").contains("decoder.conv_in.weight"), diffusers);
  }
}

TEST(Export, WritesTheDtypeThatIsAskedForAndKeepsSensitiveWeightsWide) {
  test::Folder folder;
  export_model_folder(test::tiny_folder(), folder / "model", {.dtype = at::kBFloat16});
  const Safetensors file(folder / "model/transformer");
  EXPECT_EQ(file.dtype("blocks.0.ffn.net.2.weight"), at::kBFloat16);
  EXPECT_EQ(file.dtype("blocks.0.attn1.router.weight"), at::kFloat);
  EXPECT_EQ(Safetensors(folder / "model/vae").dtype("decoder.conv_in.weight"), at::kBFloat16);
}

TEST(Export, KeepsBothExperts) {
  test::Folder folder;
  export_model_folder(test::two_expert_folder(), folder / "model", {.layout = WeightLayout::kDiffusers});
  const Models expected = load_models(test::two_expert_folder(), at::kCPU, at::kFloat);
  const Models models = load_models(folder / "model", at::kCPU, at::kFloat);
  expect_equal(*models.transformer, *expected.transformer);
  expect_equal(*models.transformer_2, *expected.transformer_2);
  EXPECT_EQ(models.boundary, 900);
}

int64_t bytes_of(const torch::nn::Module& model) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : named_tensors(model))
    if (name.find("attn.") != name.npos || name.find("ffn.") != name.npos)
      bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

TEST(Export, EightBitsAreHalfOfBfloat16NearItAndComeBackAsTheyAre) {
  test::Folder folder;
  export_model_folder(test::tiny_folder(), folder / "8", {.layout = WeightLayout::kWan, .dtype = at::kFloat8_e4m3fn});
  export_model_folder(folder / "8", folder / "again", {});
  for (const char* part : {"transformer", "text_encoder"}) {
    const Safetensors first(folder / "8" / part), again(folder / "again" / part);
    EXPECT_TRUE(first.contains("scaled_fp8")) << part;
    EXPECT_EQ(first.names().size(), again.names().size()) << part;
  }
  const Safetensors first(folder / "8/transformer"), again(folder / "again/transformer");
  const auto bits = [](const Safetensors& file, const std::string& name) { return file.load(name).view(at::kByte); };
  EXPECT_TRUE(at::equal(bits(first, "blocks.1.ffn.2.weight"), bits(again, "blocks.1.ffn.net.2.weight")));
  EXPECT_EQ(again.dtype("blocks.1.attn1.to_q.scale_weight"), at::kFloat);
  const Models narrow = load_models(folder / "8", at::kCPU, at::kBFloat16),
               wide = load_models(test::tiny_folder(), at::kCPU, at::kBFloat16);
  EXPECT_LT(static_cast<double>(bytes_of(*narrow.transformer)),
            0.65 * static_cast<double>(bytes_of(*wide.transformer)));
  const auto weight = [](const Models& models) {
    return models.transformer->named_modules()["blocks.0.ffn.0"]->as<ProductWeight>()->weight_in(at::kFloat).detach();
  };
  EXPECT_LT(test::difference(weight(narrow), weight(wide)).relative, 0.04);
}

TEST(Export, MergesAdapters) {
  test::Folder folder;
  const std::filesystem::path lora = folder / "lora.safetensors";
  const at::Tensor down = at::randn({2, 24}), up = at::randn({24, 2});
  save_safetensors(lora, {{"diffusion_model.blocks.0.self_attn.q.lora_down.weight", down},
                          {"diffusion_model.blocks.0.self_attn.q.lora_up.weight", up},
                          {"diffusion_model.blocks.0.self_attn.q.alpha", at::full({}, 1.0)}});
  export_model_folder(test::tiny_folder(), folder / "merged",
                      {.layout = WeightLayout::kWan, .adapters = {.loras = {{.file = lora, .weight = 0.5}}}});
  const std::string name = "blocks.0.self_attn.q.weight";
  const at::Tensor before = Safetensors(test::tiny_folder() / "transformer").load(name);
  EXPECT_TRUE(test::close(Safetensors(folder / "merged/transformer").load(name), before + 0.25 * up.mm(down), 1e-6));
  EXPECT_EQ(Safetensors(folder / "merged/transformer").names(),
            Safetensors(test::tiny_folder() / "transformer").names());
}

TEST(Export, NeverWritesOverAFolder) {
  test::Folder folder;
  const std::string path = folder.path().string();
  EXPECT_EQ(test::error_of([&] { export_model_folder(test::tiny_folder(), folder.path(), {}); }),
            path + ": exists already, expected a new folder");
  EXPECT_EQ(test::error_of([&] { export_model_folder(folder.path(), folder / "new", {}); }),
            path + ": not a model folder, it has no transformer/");
  EXPECT_FALSE(std::filesystem::exists(folder / "new"));
}

}  // namespace
}  // namespace moga
