// Folders of other pipelines are refused by name, those of Wan2.1's text to video pass.
#include "moga/model/model_index.h"

#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

std::string error_of_index(const std::string& text) {
  const test::Folder folder;
  write_text(folder / "model_index.json", text);
  const std::string error = test::error_of([&] { check_model_index(folder.path()); });
  const std::string source = (folder / "model_index.json").string() + ": ";
  return error.starts_with(source) ? error.substr(source.size()) : error;
}

TEST(ModelIndex, OfTextToVideoPasses) {
  EXPECT_EQ(error_of_index(R"({"_class_name": "WanPipeline", "_moga": {"size": [224, 128]}, "boundary_ratio": null,
    "expand_timesteps": false, "scheduler": ["diffusers", "UniPCMultistepScheduler"],
    "text_encoder": ["transformers", "UMT5EncoderModel"], "tokenizer": ["transformers", "T5Tokenizer"],
    "transformer": ["diffusers", "WanTransformer3DModel"], "transformer_2": [null, null],
    "vae": ["diffusers", "AutoencoderKLWan"]})"),
            "");
  const test::Folder without;
  EXPECT_EQ(test::error_of([&] { check_model_index(without.path()); }), "");
}

TEST(ModelIndex, OfOtherPipelinesIsRefusedByName) {
  EXPECT_EQ(error_of_index(R"({"_class_name": "HunyuanVideoPipeline"})"),
            "_class_name = HunyuanVideoPipeline, expected WanPipeline");
  EXPECT_EQ(error_of_index(R"({"_class_name": "WanImageToVideoPipeline"})"),
            "_class_name = WanImageToVideoPipeline, expected WanPipeline; this is an image-to-video model");
  EXPECT_EQ(error_of_index("{}"), "_class_name is missing, expected a string");
}

TEST(ModelIndex, NamesThePartOrSettingBeyondWan21) {
  const auto error = [](const std::string& member) {
    return error_of_index(R"({"_class_name": "WanPipeline", )" + member + "}");
  };
  EXPECT_NE(error(R"("boundary_ratio": 0.875)").find("this is Wan2.2's two experts"), std::string::npos);
  EXPECT_NE(error(R"("expand_timesteps": true)").find("this is Wan2.2-TI2V-5B"), std::string::npos);
  EXPECT_NE(error(R"("refiner": ["diffusers", "X"])").find("refiner = [\"diffusers\",\"X\"] is not supported"),
            std::string::npos);
  EXPECT_EQ(error(R"("transformer": ["diffusers", "CogVideoXTransformer3DModel"])"),
            "transformer is a CogVideoXTransformer3DModel, expected WanTransformer3DModel, WanModel");
}

TEST(ModelIndex, ASecondTransformerIsRefusedWithoutAnIndex) {
  const test::Folder folder;
  std::filesystem::create_directories(folder / "transformer_2");
  EXPECT_NE(test::error_of([&] { check_model_index(folder.path()); }).find("has a transformer_2"), std::string::npos);
}

}  // namespace
}  // namespace moga
