// Squares of pixels as channels: where each pixel goes, and back.
#include "moga/model/vae/pixel_patches.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace moga {
namespace {

TEST(PixelPatches, OrderColourThenColumnThenRow) {
  const at::Tensor video = at::randn({2, 3, 4, 6, 8}), patches = to_pixel_patches(video, 2);
  ASSERT_EQ(patches.sizes(), (at::IntArrayRef{2, 12, 4, 3, 4}));
  for (int64_t colour = 0; colour < 3; ++colour)
    for (int64_t row = 0; row < 2; ++row)
      for (int64_t column = 0; column < 2; ++column)
        EXPECT_TRUE(at::equal(patches.select(1, 4 * colour + 2 * column + row),
                              video.select(1, colour).slice(2, row, {}, 2).slice(3, column, {}, 2)));
}

TEST(PixelPatches, GoBackToTheirPlaces) {
  const at::Tensor video = at::randn({2, 3, 1, 6, 9});
  for (const int64_t side : {1, 3})
    EXPECT_TRUE(at::equal(from_pixel_patches(to_pixel_patches(video, side), side), video)) << side;
}

}  // namespace
}  // namespace moga
