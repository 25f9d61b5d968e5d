// Exif data from any source: the orientation where there is one, never a read beyond the end.
#include "moga/data/video/exif.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

namespace moga {
namespace {

// A TIFF directory of one entry.
std::vector<uint8_t> exif_of(uint8_t orientation) {
  return {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0};
}

TEST(Exif, HoldsTheOrientation) {
  EXPECT_EQ(exif_orientation(exif_of(6)), 6);
  const std::vector<uint8_t> little = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, 8, 0, 0, 0};
  EXPECT_EQ(exif_orientation(little), 8);
}

TEST(Exif, ThatIsDamagedMeansUpright) {
  const std::vector<uint8_t> whole = exif_of(6);
  for (size_t size = 0; size + 2 < whole.size(); ++size)
    EXPECT_EQ(exif_orientation(std::span(whole).first(size)), 1) << size;
  EXPECT_EQ(exif_orientation(exif_of(9)), 1);
  std::vector<uint8_t> far = whole;
  far[4] = 0xFF;  // the directory is beyond the end
  EXPECT_EQ(exif_orientation(far), 1);
}

TEST(Exif, TurnsTheRowOfTheFirstPixelWhereItBelongs) {
  const at::Tensor image = at::arange(6).view({1, 2, 3}).expand({3, 2, 3});
  EXPECT_TRUE(at::equal(upright(image, 1), image));
  EXPECT_TRUE(at::equal(upright(image, 3)[0], at::tensor({5, 4, 3, 2, 1, 0}, at::kLong).view({2, 3})));
  // 6: the camera was held so that its top is on the right.
  EXPECT_TRUE(at::equal(upright(image, 6)[0], at::tensor({3, 0, 4, 1, 5, 2}, at::kLong).view({3, 2})));
}

}  // namespace
}  // namespace moga
