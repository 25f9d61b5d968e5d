// Weights that the model would not use, or not as they are meant, are refused before they are read.
#include "moga/model/layers/file_fit.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>

#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

// Of a file with these tensors beyond those of a linear layer of 3 → 2, without its name.
std::string error_with(const std::vector<std::string>& more, int64_t rows = 2) {
  const test::Folder folder;
  TensorMap tensors = {{"weight", at::ones({rows, 3})}, {"bias", at::ones({2})}};
  for (const std::string& name : more) tensors[name] = at::ones({1});
  save_safetensors(folder / "a.safetensors", tensors);
  const Safetensors file(folder / "a.safetensors");
  const torch::nn::Linear layer(3, 2);
  const LoadOptions options{.file_name_of = {}, .optional = {}, .harmless = {".router."}};
  const std::string error = test::error_of([&] { check_file_fit(file_fit(*layer, file, options)); });
  return error.substr(std::min(error.size(), file.source().size()));
}

TEST(FileFit, OfTheModelsTensorsAndHarmlessOnesPasses) { EXPECT_EQ(error_with({"blocks.0.router.weight"}), ""); }

TEST(FileFit, NamesTheFirstUnusedTensorAndTheCount) {
  EXPECT_EQ(error_with({"blocks.1.a", "blocks.1.b"}), ": 2 tensors for which config.json has no use, first blocks.1.a");
  EXPECT_EQ(error_with({}, 4), ": tensor weight has shape [4, 3], expected [2, 3]");
}

TEST(FileFit, SaysWhatTheModelIs) {
  EXPECT_NE(error_with({"vace_blocks.0.q"}).find("vace_blocks.0.q: VACE blocks"), std::string::npos);
  EXPECT_NE(error_with({"blocks.0.attn2.add_k_proj.bias"}, 4).find("an image-to-video model"), std::string::npos);
  EXPECT_NE(error_with({"fps_embedding.weight"}).find("SkyReels-V2"), std::string::npos);
}

TEST(FileFit, APartThatTheModelHasIsNotForeign) {
  const FileFit fit{.source = "a",
                    .file_names = {{"k", "blocks.0.attn2.add_k_proj.weight"}},
                    .misfits = {},
                    .report = {.kept = {}, .unused = {"blocks.1.attn2.add_k_proj.weight"}, .harmless = {}}};
  EXPECT_EQ(test::error_of([&] { check_file_fit(fit); }),
            "a: 1 tensor for which config.json has no use, first blocks.1.attn2.add_k_proj.weight");
}

TEST(FileFit, NamesAreOnOneLine) {
  EXPECT_EQ(error_with({"a\nb"}), ": 1 tensor for which config.json has no use, first a\\nb");
}

TEST(FileFit, QuantizedWeightsAreRefusedByTheirFormat) {
  EXPECT_EQ(error_with({"weight.SCB"}).find(": quantized (bitsandbytes) weights (weight.SCB) are not supported"), 0u);
  EXPECT_EQ(error_with({"a.weight_scale_inv"}).find(": float8 with scales of blocks (DeepSeek) weights"), 0u);
  EXPECT_EQ(error_with({"blocks.0.scale_weight"}),
            ": blocks.0.scale_weight: scale of a weight that cannot be kept in 8 bits");
}

}  // namespace
}  // namespace moga
