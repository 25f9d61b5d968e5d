// The same bits as Pillow (tools/make_fixtures_images.py).
#include "moga/model/image/resample.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/safetensors.h"
#include "tests/support/error.h"

namespace moga {
namespace {

TEST(Resample, GivesPillowsBits) {
  const Safetensors file(MOGA_FIXTURES "/images/images.safetensors");
  const at::Tensor image = file.load("image");
  for (const auto& [name, filter] : {std::pair{"lanczos", Filter::kLanczos}, {"bicubic", Filter::kBicubic}})
    for (const auto& [height, width] : {std::pair{32, 48}, {100, 61}, {7, 90}}) {
      const std::string size = "." + std::to_string(height) + "x" + std::to_string(width);
      EXPECT_TRUE(at::equal(resample(image, height, width, filter), file.load(name + size))) << name << size;
    }
}

TEST(Resample, KeepsAnImageOfTheSameSize) {
  const at::Tensor image = at::randint(256, {3, 5, 7}, at::kByte);
  EXPECT_TRUE(at::equal(resample(image, 5, 7, Filter::kLanczos), image));
  EXPECT_EQ(test::error_of([&] { resample(image.to(at::kFloat), 5, 7, Filter::kLanczos); }),
            "resample: image is Float [3, 5, 7], expected uint8 [C, Y, X]");
}

}  // namespace
}  // namespace moga
