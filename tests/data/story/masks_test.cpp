// Masks on the grid of tokens, against the parts that are drawn; overlaps on cases that are computed by hand.
#include "moga/data/story/masks.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/data/limits.h"
#include "moga/data/story/render.h"
#include "tests/support/error.h"

namespace moga {
namespace {

const StoryConfig kShortStory{.width = 112, .height = 64, .frames = 49};

TEST(StoryMasks, CoverWhatIsDrawn) {
  const Story story = plan_story(3, kShortStory);
  const at::Tensor parts = render_story(story, at::kCPU, true).parts;
  const std::vector<StoryMask> masks = story_masks(story, parts, kWanPixelsPerToken);
  ASSERT_GE(masks.size(), 4u);
  for (const StoryMask& mask : masks) {
    ASSERT_EQ(mask.coverage.numel(), 13 * 4 * 7);
    if (mask.kind != MaskKind::kHat) continue;
    const at::Tensor pixels = (parts[mask.person] == 1 + static_cast<int64_t>(Part::hat)).to(at::kFloat);
    const at::Tensor grid = mask.coverage.view({13, 4, 7});
    // Latent frame 2 is pixel frames 5 to 8; token (1, 3) is rows 16 to 31 and columns 48 to 63.
    const auto box = pixels.slice(0, 5, 9).slice(1, 16, 32).slice(2, 48, 64);
    EXPECT_FLOAT_EQ(grid[2][1][3].item<float>(), box.mean().item<float>());
    EXPECT_NEAR(grid[0].sum().item<double>() * 256, pixels[0].sum().item<double>(), 1e-3);
  }
}

TEST(StoryMasks, BackgroundIsWhereNoPersonIs) {
  const Story story = plan_story(5, kShortStory);
  at::Tensor background, persons = at::zeros({13 * 4 * 7});
  const at::Tensor parts = render_story(story, at::kCPU, true).parts;
  for (const StoryMask& mask : story_masks(story, parts, kWanPixelsPerToken)) {
    if (mask.kind == MaskKind::kBackground) background = mask.coverage;
    if (mask.kind == MaskKind::kPerson) persons = at::maximum(persons, mask.coverage);
  }
  EXPECT_TRUE(((background + persons) <= 1 + 1e-6).all().item<bool>());
  EXPECT_GT(background.mean().item<double>(), 0.3);
}

TEST(StoryMasks, OverlapIsThatOfTheBestGroup) {
  const at::Tensor coverage = at::tensor({1.0f, 0.5f, 0.0f, 0.0f});
  const at::Tensor group = at::tensor({1, 1, 0, 2}, at::kLong);
  EXPECT_DOUBLE_EQ(best_overlap(coverage, group, 4), 1.5 / 2);
  EXPECT_DOUBLE_EQ(best_overlap(coverage, at::zeros({4}, at::kLong), 2), 1.5 / 4);
}

TEST(StoryMasks, NeedAModelWhoseTokensFit) {
  EXPECT_NE(test::error_of([] {
              story_masks(plan_story(3, kShortStory), {}, {4, 48, 48});
            }).find("multiples of 48"),
            std::string::npos);
}

}  // namespace
}  // namespace moga
