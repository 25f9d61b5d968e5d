// The largest crop against a search over all rectangles of a small picture.
#include "moga/data/films/rectangles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/support/error.h"

namespace moga {
namespace {

bool meets(const Crop& a, const Crop& b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

// The largest height of a rectangle 2:1 that is free, by trying all.
int64_t best_height(int64_t width, int64_t height, const std::vector<Crop>& boxes) {
  for (int64_t h = height; h > 0; --h)
    for (int64_t y = 0; y + h <= height; ++y)
      for (int64_t x = 0; x + 2 * h <= width; ++x)
        if (std::none_of(boxes.begin(), boxes.end(), [&](const Crop& box) { return meets({x, y, 2 * h, h}, box); }))
          return h;
  return 0;
}

TEST(LargestCrop, IsTheLargestOfAll) {
  std::mt19937 random(3);
  const auto draw = [&](int64_t most) { return static_cast<int64_t>(random() % static_cast<uint64_t>(most)); };
  for (int round = 0; round < 200; ++round) {
    std::vector<Crop> boxes;
    for (int64_t i = draw(4); i > 0; --i) boxes.push_back({draw(38), draw(18), 1 + draw(10), 1 + draw(5)});
    const Crop crop = largest_crop({0, 0, 40, 20}, boxes);
    // One more where half a pixel is rounded up.
    const int64_t best = best_height(40, 20, boxes);
    EXPECT_TRUE(crop.height == best || crop.height == best + 1) << crop.height << ", " << best << " in round " << round;
    EXPECT_NEAR(static_cast<double>(crop.width), 2.0 * static_cast<double>(crop.height), 1);
    for (const Crop& box : boxes) EXPECT_FALSE(meets(crop, box));
  }
}

TEST(LargestCrop, StaysInTheMiddleAndInsideThePicture) {
  const Crop whole = largest_crop({100, 60, 1600, 900}, {});
  EXPECT_EQ(whole.x, 100);
  EXPECT_EQ(whole.height, 900);
  // Subtitles at the bottom: what is left has 16:9 above them, centred.
  const Crop above = largest_crop({0, 0, 1600, 900}, {{300, 720, 1000, 100}});
  EXPECT_EQ(above.y, 0);
  EXPECT_EQ(above.height, 720);
  EXPECT_EQ(above.width, 1280);
  EXPECT_EQ(above.x, 160);
  EXPECT_EQ(largest_crop({0, 0, 16, 9}, {{-5, -5, 99, 99}}).width, 0);
  EXPECT_NE(test::error_of([] {
              largest_crop({0, 0, 16, 9}, std::vector<Crop>(13));
            }).find("13 boxes"),
            std::string::npos);
}

}  // namespace
}  // namespace moga
