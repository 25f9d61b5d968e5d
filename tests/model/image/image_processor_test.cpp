// What CLIPImageProcessor makes of an image, and of its config.
#include "moga/model/image/image_processor.h"

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

std::string error_of_config(const std::string& text) {
  const test::Folder folder;
  write_text(folder / "p.json", text);
  const std::string error = test::error_of([&] { load_image_processor_config(folder / "p.json"); });
  return error.substr(std::min(error.size(), (folder / "p.json").string().size()));
}

TEST(ImageProcessor, EqualsTransformers) {
  const ImageProcessorConfig config =
      load_image_processor_config(kImages / "image_processor" / "preprocessor_config.json");
  EXPECT_EQ(config.short_side, 28);
  EXPECT_EQ(config.crop, 28);
  const Safetensors file(kImages / "images.safetensors");
  EXPECT_TRUE(test::close(processed(file.load("image"), config), file.load("pixels")[0], 1e-6));
}

TEST(ImageProcessor, PadsAnImageThatIsTooSmall) {
  const ImageProcessorConfig config{.short_side = 4, .crop = 6, .image_mean = {0, 0, 0}, .image_std = {1, 1, 1}};
  const at::Tensor pixels = processed(at::full({3, 4, 8}, 255, at::kByte), config);
  EXPECT_EQ(pixels.sizes(), (at::IntArrayRef{3, 6, 6}));
  EXPECT_EQ(pixels.narrow(1, 1, 4).min().item<float>(), 1.0f);
  EXPECT_EQ(pixels.select(1, 0).max().item<float>(), 0.0f);
  EXPECT_EQ(pixels.select(1, 5).max().item<float>(), 0.0f);
}

TEST(ImageProcessor, RefusesOtherProcessing) {
  EXPECT_EQ(error_of_config(R"({"resample": 2})"),
            ": resample = 2 is not supported, expected 3: this is another filter than bicubic");
  EXPECT_EQ(error_of_config(R"({"do_normalize": false})"), ": do_normalize = false is not supported, expected true");
  EXPECT_EQ(error_of_config(R"({"size": {"height": 4, "width": 4}})"),
            ": size = {\"height\":4,\"width\":4}, expected {\"shortest_edge\": N}: proportions are kept");
  EXPECT_EQ(error_of_config(R"({"crop_size": {"height": 4, "width": 5}})"),
            ": crop_size = {\"height\":4,\"width\":5}, expected a square");
  EXPECT_EQ(error_of_config(R"({"image_std": [1, 0, 1]})").find(": image_std has 0, expected > 0"), 0u);
  EXPECT_NE(error_of_config(R"({"blur": 3})").find("unknown key 'blur'"), std::string::npos);
}

}  // namespace
}  // namespace moga
