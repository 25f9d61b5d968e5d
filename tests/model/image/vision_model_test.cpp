// Features of CLIP, DINO and DINOv2 equal those of transformers (tools/make_fixtures_films.py).
#include "moga/model/image/vision_model.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "moga/core/safetensors.h"
#include "moga/model/image/image_processor.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

const std::filesystem::path kFilms = MOGA_FILM_FIXTURES;
constexpr double kParity = 1e-5;

at::Tensor features(const std::string& model, const std::string& pixels) {
  const at::NoGradGuard no_grad;
  return load_vision_model(kFilms / "models" / model, at::kCPU)
      ->forward(Safetensors(kFilms / "films.safetensors").load(pixels));
}

at::Tensor expected(const std::string& name) { return Safetensors(kFilms / "films.safetensors").load(name); }

TEST(VisionModel, ClipEqualsTransformers) {
  EXPECT_TRUE(test::close(features("clip-vit-base-patch32", "clip.pixels"), expected("clip.features"), kParity));
  EXPECT_TRUE(test::close(features("clip-vit-large-patch14", "clip.pixels"), expected("clip_large.features"), kParity));
}

TEST(VisionModel, DinoEqualsTransformersAtItsOwnSize) {
  EXPECT_TRUE(test::close(features("dino-vitb16", "native.pixels"), expected("dino.native"), kParity));
}

// 32 x 53 pixels: 4 x 6 patches with positions of 4 x 4.
TEST(VisionModel, DinoInterpolatesPositionsAsItsOwnProgram) {
  ASSERT_EQ(expected("dino.pixels").size(3), 53);
  EXPECT_TRUE(test::close(features("dino-vitb16", "dino.pixels"), expected("dino.features"), kParity));
}

TEST(VisionModel, Dinov2EqualsTransformersAtItsOwnSizeAndOthers) {
  EXPECT_TRUE(test::close(features("dinov2-base", "native.pixels"), expected("dinov2.native"), kParity));
  EXPECT_TRUE(test::close(features("dinov2-base", "dinov2.pixels"), expected("dinov2.features"), kParity));
}

TEST(VisionModel, ReadsNamesWithThePrefixOfAWholeModel) {
  const test::Folder folder;
  const std::filesystem::path from = kFilms / "models/dinov2-base";
  TensorMap tensors;
  for (const auto& [name, tensor] : Safetensors(from).load_all()) tensors["dinov2." + name] = tensor;
  save_safetensors(folder / "model.safetensors", tensors);
  std::filesystem::copy(from / "config.json", folder / "config.json");
  const at::NoGradGuard no_grad;
  const at::Tensor found = load_vision_model(folder.path(), at::kCPU)->forward(expected("native.pixels"));
  EXPECT_TRUE(test::close(found, expected("dinov2.native"), kParity));
}

TEST(VisionModel, PublishedConfigsAreRead) {
  const test::Folder folder;
  const auto read = [&](const std::string& text) {
    write_text(folder / "config.json", text);
    return load_vision_model_config(folder / "config.json");
  };
  const VisionModelConfig dino = read(R"({"model_type": "vit", "qkv_bias": true})");
  EXPECT_EQ(dino.transformer.patch_size, 16);
  EXPECT_EQ(dino.transformer.layer_norm_eps, 1e-12);
  EXPECT_EQ(dino.transformer.hidden_act, ImageActivation::kGelu);
  const VisionModelConfig dinov2 = read(R"({"model_type": "dinov2", "image_size": 518, "mlp_ratio": 4})");
  EXPECT_EQ(dinov2.transformer.intermediate_size, 3072);
  EXPECT_EQ(dinov2.transformer.tokens(), 1 + 37 * 37);
  const VisionModelConfig clip = read(
      R"({"model_type": "clip", "projection_dim": 768, "text_config": {}, "vision_config": {"hidden_size": 1024,
          "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14}})");
  EXPECT_EQ(clip.features(), 768);
  EXPECT_EQ(clip.transformer.hidden_act, ImageActivation::kQuickGelu);
}

TEST(VisionModel, RefusesWhatItDoesNotUnderstand) {
  const test::Folder folder;
  const auto error = [&](const std::string& config) {
    write_text(folder / "config.json", config);
    return test::error_of([&] { load_vision_model_config(folder / "config.json"); });
  };
  EXPECT_NE(error(R"({"model_type": "siglip"})").find(R"(model_type "siglip", expected "clip")"), std::string::npos);
  EXPECT_NE(error(R"({"model_type": "dinov2", "use_swiglu_ffn": true})").find("gated feed-forward layers"),
            std::string::npos);
  EXPECT_NE(error(R"({"model_type": "vit", "register_tokens": 4})").find("unknown key 'register_tokens'"),
            std::string::npos);
}

TEST(VisionModel, NamesATensorThatIsMissing) {
  const test::Folder folder;
  const std::filesystem::path from = kFilms / "models/dino-vitb16";
  TensorMap tensors = Safetensors(from).load_all();
  tensors.erase("encoder.layer.1.output.dense.bias");
  save_safetensors(folder / "model.safetensors", tensors);
  std::filesystem::copy(from / "config.json", folder / "config.json");
  EXPECT_NE(
      test::error_of([&] { load_vision_model(folder.path(), at::kCPU); }).find("encoder.layer.1.output.dense.bias"),
      std::string::npos);
}

}  // namespace
}  // namespace moga
