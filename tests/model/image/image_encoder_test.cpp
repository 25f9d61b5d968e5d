// CLIP's embeddings equal those of transformers (tools/make_fixtures_images.py), from both spellings of its names.
#include "moga/model/image/image_encoder.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "moga/core/safetensors.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

const std::filesystem::path kImages = MOGA_FIXTURES "/images";

TEST(ImageEncoder, EqualsTransformers) {
  const at::NoGradGuard no_grad;
  const Safetensors file(kImages / "images.safetensors");
  ImageEncoder encoder = load_image_encoder(kImages / "image_encoder", at::kCPU);
  EXPECT_EQ(encoder->config().tokens(), 5);
  EXPECT_TRUE(test::close(encoder->forward(file.load("pixels")), file.load("embeddings"), 1e-6));
  EXPECT_EQ(test::error_of([&] {
              encoder->forward(at::zeros({1, 3, 14, 14}));
            }),
            "image encoder: pixels [1, 3, 14, 14], expected [n, 3, 28, 28]");
}

TEST(ImageEncoder, IsSavedUnderTheNamesOfPublishedFiles) {
  const at::NoGradGuard no_grad;
  const test::Folder folder;
  ImageEncoder encoder = load_image_encoder(kImages / "image_encoder", at::kCPU);
  save_image_encoder(folder.path(), encoder, at::kFloat);
  EXPECT_TRUE(Safetensors(folder.path()).contains("vision_model.encoder.layers.2.mlp.fc1.weight"));
  const at::Tensor pixels = at::randn({2, 3, 28, 28});
  EXPECT_TRUE(at::equal(load_image_encoder(folder.path(), at::kCPU)->forward(pixels), encoder->forward(pixels)));
}

TEST(ImageEncoder, TakesTheLastLayersInputAlone) {
  const at::NoGradGuard no_grad;
  ImageEncoder encoder = load_image_encoder(kImages / "image_encoder", at::kCPU);
  const at::Tensor pixels = at::randn({1, 3, 28, 28}), before = encoder->forward(pixels);
  for (const auto& item : encoder->named_parameters())
    if (item.key().find("layers.2.") != std::string::npos || item.key().find("post_") != std::string::npos)
      item.value().fill_(7);
  EXPECT_TRUE(at::equal(encoder->forward(pixels), before));
}

TEST(ImageEncoder, RefusesWhatItDoesNotUnderstand) {
  const test::Folder folder;
  const auto error = [&](const std::string& config) {
    write_text(folder / "config.json", config);
    return test::error_of([&] { load_image_encoder_config(folder / "config.json"); });
  };
  EXPECT_NE(error(R"({"model_type": "siglip_vision_model"})").find("this is not CLIP's vision model"),
            std::string::npos);
  EXPECT_NE(error(R"({"hidden_act": "relu"})").find("'relu' is not one of gelu, quick_gelu"), std::string::npos);
  EXPECT_NE(error(R"({"image_size": 225})").find("image_size 225, expected a multiple of patch_size 32"),
            std::string::npos);
}

}  // namespace
}  // namespace moga
