// Folders of other pipelines are refused by name; of those that are run, what kind of model it is.
#include "moga/model/model_index.h"

#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "moga/core/log.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

std::string error_of_index(const std::string& text) {
  const test::Folder folder;
  write_text(folder / "model_index.json", text);
  const std::string error = test::error_of([&] { load_model_index(folder.path()); });
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
  EXPECT_EQ(test::error_of([&] { load_model_index(without.path()); }), "");
}

TEST(ModelIndex, OfOtherPipelinesIsRefusedByName) {
  EXPECT_EQ(error_of_index(R"({"_class_name": "HunyuanVideoPipeline"})"),
            "_class_name = HunyuanVideoPipeline, expected WanPipeline, WanImageToVideoPipeline, MogaMMDiTPipeline");
  EXPECT_EQ(error_of_index(R"({"_class_name": "WanVACEPipeline"})"),
            "_class_name = WanVACEPipeline, expected WanPipeline, WanImageToVideoPipeline, MogaMMDiTPipeline; this is "
            "VACE, for controlled "
            "generation");
  EXPECT_EQ(error_of_index("{}"), "_class_name is missing, expected a string");
}

TEST(ModelIndex, NamesThePartOrSettingThatIsNotSupported) {
  const auto error = [](const std::string& member) {
    return error_of_index(R"({"_class_name": "WanPipeline", )" + member + "}");
  };
  EXPECT_EQ(error(R"("boundary_ratio": 0.875)"), "has boundary_ratio and no transformer_2, expected both, or neither");
  EXPECT_EQ(error(R"("expand_timesteps": 1)"), "expand_timesteps = 1, expected true or false");
  EXPECT_NE(error(R"("refiner": ["diffusers", "X"])").find("refiner = [\"diffusers\",\"X\"] is not supported"),
            std::string::npos);
  EXPECT_EQ(error(R"("transformer": ["diffusers", "CogVideoXTransformer3DModel"])"),
            "transformer is a CogVideoXTransformer3DModel, expected WanTransformer3DModel, WanModel, "
            "MogaMMDiTTransformer3DModel");
}

TEST(ModelIndex, TellsTwoExpertsAndImagesToVideo) {
  const test::Folder folder;
  const auto read = [&](const std::string& pipeline, const std::string& member) {
    write_text(folder / "model_index.json", R"({"_class_name": ")" + pipeline + R"(", )" + member + "}");
    return load_model_index(folder.path());
  };
  const std::string experts = R"("transformer_2": ["diffusers", "WanTransformer3DModel"], "boundary_ratio": )";
  EXPECT_EQ(read("WanPipeline", experts + "0.875").boundary_ratio, 0.875);
  EXPECT_EQ(read("WanPipeline", experts + "0.875").image_to_video, false);
  EXPECT_EQ(read("WanImageToVideoPipeline", experts + "0.9").image_to_video, true);
  const std::string encoder = R"("image_encoder": ["transformers", "CLIPVisionModel"], "transformer_2": [null, null])";
  EXPECT_FALSE(read("WanImageToVideoPipeline", encoder).two_experts());
  EXPECT_NE(
      test::error_of([&] { read("WanPipeline", experts + "1.5"); }).find("boundary_ratio = 1.5, expected a number"),
      std::string::npos);
}

// As diffusers, whose WanPipeline warns of it.
TEST(ModelIndex, APartThatThePipelineHasNoUseForIsSaid) {
  const std::string member = R"("image_encoder": ["transformers", "CLIPVisionModel"]})";
  const auto said = [&](const std::string& pipeline) {
    set_quiet(false);
    testing::internal::CaptureStderr();
    EXPECT_EQ(error_of_index(R"({"_class_name": ")" + pipeline + R"(", )" + member), "");
    set_quiet(true);
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_NE(said("WanPipeline").find("names an image_encoder, for which WanPipeline (text to video) has no use"),
            std::string::npos);
  EXPECT_EQ(said("WanImageToVideoPipeline"), "");
}

TEST(ModelIndex, TellsTimestepsOfGivenFrames) {
  const test::Folder folder;
  const auto read = [&](const std::string& member) {
    write_text(folder / "model_index.json", R"({"_class_name": "WanPipeline")" + member + "}");
    return load_model_index(folder.path()).expand_timesteps;
  };
  EXPECT_TRUE(read(R"(, "expand_timesteps": true)"));
  EXPECT_FALSE(read(R"(, "expand_timesteps": false)"));
  EXPECT_FALSE(read(R"(, "expand_timesteps": null)"));
  EXPECT_FALSE(read(""));
}

TEST(ModelIndex, ASecondTransformerNeedsItsBoundary) {
  const test::Folder folder;
  std::filesystem::create_directories(folder / "transformer_2");
  EXPECT_EQ(test::error_of([&] { load_model_index(folder.path()); }),
            folder.path().string() + ": has a transformer_2, but no model_index.json with its boundary_ratio");
}

}  // namespace
}  // namespace moga
