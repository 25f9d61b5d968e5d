// An exported folder contains the same model under other names.
#include "moga/pipeline/export.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/module_io.h"
#include "moga/core/safetensors.h"
#include "tests/pipeline/tiny_folder.h"
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
