// Scores of made pictures, against values that are known.
#include "moga/data/films/picture_scores.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

namespace moga {
namespace {

constexpr int64_t kWidth = 320, kHeight = 176;

// A smooth picture of waves, moved by (x, y), with noise of a few levels.
LumaFrame waves(double x, double y, double noise = 0, int64_t width = kWidth, int64_t height = kHeight) {
  std::mt19937 random(7);
  std::normal_distribution<double> level(0, 1);
  LumaFrame frame;
  frame.width = width;
  frame.height = height;
  for (int64_t v = 0; v < height; ++v)
    for (int64_t u = 0; u < width; ++u) {
      const double a = static_cast<double>(u) * kWidth / static_cast<double>(width) - x;
      const double b = static_cast<double>(v) * kHeight / static_cast<double>(height) - y;
      const double value = 128 + 40 * std::sin(a / 5) * std::cos(b / 7) + 30 * std::sin(a / 31 + b / 43);
      frame.luma.push_back(static_cast<uint8_t>(std::clamp(value + noise * level(random), 0.0, 255.0)));
    }
  return frame;
}

LumaFrame flat(uint8_t luma) {
  LumaFrame frame = waves(0, 0);
  frame.luma.assign(frame.luma.size(), luma);
  return frame;
}

TEST(PictureScores, MeasureLumaAndTheLaplacian) {
  LumaFrame frame = flat(100);
  frame.luma[static_cast<size_t>(50 * kWidth + 60)] = 200;  // a point: the Laplacian is -400 there, 100 at 4 neighbours
  const double count = static_cast<double>((kWidth - 2) * (kHeight - 2));
  EXPECT_NEAR(frame_scores(frame).sharpness, (400.0 * 400 + 4 * 100.0 * 100) / count, 1e-9);
  EXPECT_NEAR(frame_scores(frame).luma, 100 + 100.0 / static_cast<double>(kWidth * kHeight), 1e-9);
  EXPECT_FALSE(frame_scores(frame).black);
  EXPECT_TRUE(frame_scores(flat(25)).black);
  EXPECT_FALSE(frame_scores(flat(26)).black);
  EXPECT_EQ(frame_scores(flat(255)).bright, 1);
  EXPECT_EQ(frame_scores(flat(4)).dark, 1);
}

TEST(PictureScores, FindHowFarBlocksMove) {
  EXPECT_NEAR(pair_scores(waves(0, 0), waves(3, 4)).motion, 5, 0.25);
  EXPECT_NEAR(pair_scores(waves(0, 0), waves(-6, 0)).motion, 6, 0.25);
  LumaFrame noisy = waves(0, 0, 3);
  EXPECT_LT(pair_scores(waves(0, 0), noisy).motion, 0.05);
  EXPECT_LT(pair_scores(waves(0, 0), waves(0, 0)).change, 1e-9);
}

TEST(PictureScores, CountStretchesOfAShot) {
  ShotScores shot;
  // 1 s black, 1 s that stands still, 1 s that moves 2 pixels in 1/8 s.
  for (int i = 0; i < 24; ++i) {
    if (i < 8)
      shot.add(flat(0), i / 8.0);
    else
      shot.add(waves(i < 16 ? 0 : 2 * (i - 15), 0), i / 8.0);
  }
  EXPECT_EQ(shot.frames(), 24);
  EXPECT_NEAR(shot.black(), 8.0 / 24, 1e-9);
  EXPECT_NEAR(shot.longest_black(), 7.0 / 8, 1e-9);
  EXPECT_NEAR(shot.longest_still(), 7.0 / 8, 1e-9);
  EXPECT_NEAR(shot.still(), 14.0 / 23, 1e-9);
  EXPECT_GT(shot.motion(), 8 * 100.0 * 2 * 8 / kHeight / 23 * 0.9);  // 8 pairs of 2 pixels; the cut adds more
}

TEST(PictureScores, HashesOfCopiesAreNear) {
  const uint64_t own = picture_hash(waves(0, 0));
  EXPECT_LE(std::popcount(own ^ picture_hash(waves(0, 0, 4))), 6);
  EXPECT_LE(std::popcount(own ^ picture_hash(waves(0, 0, 0, 160, 96))), 3);
  EXPECT_GE(std::popcount(own ^ picture_hash(waves(60, 80))), 12);
}

}  // namespace
}  // namespace moga
