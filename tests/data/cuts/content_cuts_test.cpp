// Boundaries of made films: smooth random pictures that pan, cut, dissolve and flash.
#include "moga/data/cuts/content_cuts.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/random.h"

namespace moga {
namespace {

constexpr int64_t kWidth = ReducedFrame::kWidth, kHeight = ReducedFrame::kHeight;

// A scene twice as wide as a frame, so that a camera can pan over it: float [36, 128, 3].
at::Tensor scene(uint64_t seed, double texture = 70) {
  const auto layer = [&](const char* name, int64_t down) {
    return at::rand({1, 3, kHeight / down, 2 * kWidth / down}, random_stream(seed, name),
                    at::TensorOptions(at::kFloat));
  };
  const at::Tensor smooth = at::upsample_bilinear2d(layer("scene", 4), {kHeight, 2 * kWidth}, false);
  // Without texture a pan would be a dissolve: what lies between two views would be their mean.
  return (smooth * 150 + layer("texture", 1) * texture + 15)[0].permute({1, 2, 0});
}

at::Tensor view(const at::Tensor& scene, int64_t x) { return scene.slice(1, x, x + kWidth); }

std::string listed(const std::vector<Boundary>& found) {
  std::string text;
  for (const Boundary& one : found)
    text += " " + std::to_string(one.before) + "-" + std::to_string(one.after) + " score " + std::to_string(one.score);
  return text;
}

std::vector<Boundary> boundaries(const std::vector<at::Tensor>& frames) {
  ContentCuts cuts({});
  for (const at::Tensor& frame : frames) cuts.add(frame.round().to(at::kByte).contiguous().const_data_ptr<uint8_t>());
  return cuts.finish();
}

TEST(ContentCuts, FindsAHardCutBetweenPans) {
  std::vector<at::Tensor> frames;
  for (int64_t i = 0; i < 40; ++i) frames.push_back(view(scene(i < 23 ? 1 : 2), i % 23));
  const auto found = boundaries(frames);
  ASSERT_EQ(found.size(), 1u) << listed(found);
  EXPECT_EQ(found[0].before, 22);
  EXPECT_EQ(found[0].after, 23);
  EXPECT_GT(found[0].score, found[0].threshold);
}

TEST(ContentCuts, FindsTheExtentOfADissolve) {
  std::vector<at::Tensor> frames;
  for (int64_t i = 0; i < 60; ++i) {
    const double mix = std::clamp((static_cast<double>(i) - 25) / 10, 0.0, 1.0);  // frames 26 to 34 are mixed
    frames.push_back(view(scene(1), i / 6) * (1 - mix) + view(scene(2), i / 6) * mix);
  }
  const auto found = boundaries(frames);
  ASSERT_EQ(found.size(), 1u) << listed(found);
  EXPECT_FALSE(found[0].clean());
  EXPECT_NEAR(static_cast<double>(found[0].before), 25, 1);
  EXPECT_NEAR(static_cast<double>(found[0].after), 35, 1);
}

TEST(ContentCuts, FindsAFadeThroughBlack) {
  std::vector<at::Tensor> frames;
  for (int64_t i = 0; i < 60; ++i) {
    const double light = std::clamp(std::abs(static_cast<double>(i) - 30) / 10, 0.0, 1.0);
    frames.push_back(view(scene(i < 30 ? 1 : 2), 3) * light);
  }
  const auto found = boundaries(frames);
  ASSERT_GE(found.size(), 1u);
  EXPECT_NEAR(static_cast<double>(found.front().before), 20, 2);
  EXPECT_NEAR(static_cast<double>(found.back().after), 40, 2);
}

TEST(ContentCuts, TakesNeitherAFlashNorAWhipPanForACut) {
  std::vector<at::Tensor> frames;
  for (int64_t i = 0; i < 50; ++i) {
    const int64_t pan = std::clamp<int64_t>(i - 30, 0, 10) * 6;
    frames.push_back(i == 15 ? at::full({kHeight, kWidth, 3}, 250.0, at::kFloat) : view(scene(4, /*texture=*/0), pan));
  }
  EXPECT_EQ(listed(boundaries(frames)), "");
}

TEST(ContentCuts, KeepsABoundedNumberOfFrames) {
  ContentCuts cuts({});
  const at::Tensor frame = view(scene(1), 0).to(at::kByte).contiguous();
  for (int64_t i = 0; i < 3000; ++i) cuts.add(frame.const_data_ptr<uint8_t>());
  EXPECT_LT(cuts.frames_kept(), 150);
  EXPECT_TRUE(cuts.finish().empty());
}

}  // namespace
}  // namespace moga
