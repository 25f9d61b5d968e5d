// What a rendered story promises: the same every time, masks that fit the picture, hats and shirts always in view.
#include "moga/data/story/render.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "moga/data/video/video.h"
#include "tests/support/error.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

const StoryConfig kSmall{.width = 112, .height = 64, .frames = 49};

at::Tensor part_mask(const at::Tensor& parts, int64_t person, Part part) {
  return parts[person] == 1 + static_cast<int64_t>(part);  // [T, Y, X]
}

TEST(StoryRender, HasTheStorysShapeAndRange) {
  const RenderedStory rendered = render_story(plan_story(3, kSmall), at::kCPU, true);
  EXPECT_EQ(rendered.frames.sizes(), at::IntArrayRef({49, 3, 64, 112}));
  EXPECT_EQ(rendered.parts.sizes(),
            at::IntArrayRef({static_cast<int64_t>(plan_story(3, kSmall).persons.size()), 49, 64, 112}));
  EXPECT_GT(to_float(rendered.frames).std().item<float>(), 0.1f);
}

TEST(StoryRender, IsTheSameEveryTimeAndInPieces) {
  const Story story = plan_story(5, kSmall);
  const RenderedStory whole = render_story(story, at::kCPU, true), again = render_story(story, at::kCPU, true);
  EXPECT_TRUE(at::equal(whole.frames, again.frames));
  const RenderedStory piece = render_story(story, at::kCPU, true, 10, 31);
  EXPECT_TRUE(at::equal(whole.frames.slice(0, 10, 31), piece.frames));
  EXPECT_TRUE(at::equal(whole.parts.slice(1, 10, 31), piece.parts));
}

TEST(StoryRender, ShowsHatAndShirtInEveryFrame) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    const Story story = plan_story(seed, kSmall);
    const at::Tensor parts = render_story(story, at::kCPU, true).parts;
    for (const StoryShot& shot : story.shots)
      for (const int64_t person : shot.persons)
        for (const Part part : {Part::hat, Part::shirt, Part::face}) {
          const at::Tensor mask =
              part_mask(parts, person, part).slice(0, shot.first_frame, shot.first_frame + shot.frames);
          EXPECT_GE(mask.sum({1, 2}).min().item<int64_t>(), 16) << "seed " << seed << ", " << shot.caption;
          const at::Tensor border = mask.select(1, 0).sum() + mask.select(2, 0).sum() + mask.select(2, -1).sum();
          EXPECT_EQ(border.item<int64_t>(), 0) << "cut off at seed " << seed << ", " << shot.caption;
        }
  }
}

TEST(StoryRender, MarksPersonsOnlyInTheirShots) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    const Story story = plan_story(seed, kSmall);
    const at::Tensor parts = render_story(story, at::kCPU, true).parts;
    for (const StoryShot& shot : story.shots)
      for (size_t person = 0; person < story.persons.size(); ++person) {
        const bool here = std::ranges::count(shot.persons, static_cast<int64_t>(person)) > 0;
        const auto marks =
            parts[static_cast<int64_t>(person)].slice(0, shot.first_frame, shot.first_frame + shot.frames);
        EXPECT_EQ(marks.any().item<bool>(), here) << shot.caption;
      }
  }
}

TEST(StoryRender, PlacesPersonsBySideAlone) {
  Story story = plan_story(8, kSmall), other = plan_story(9, kSmall);
  other.shots = story.shots;
  other.persons.resize(1), story.persons.resize(1);
  other.persons[0].hat_kind = story.persons[0].hat_kind;
  other.persons[0].long_hair = story.persons[0].long_hair;
  for (auto* each : {&story, &other})
    for (StoryShot& shot : each->shots)
      if (shot.persons.size() > 1 || (!shot.persons.empty() && shot.persons[0] == 1)) shot.persons = {0};
  EXPECT_TRUE(at::equal(render_story(story, at::kCPU, true).parts, render_story(other, at::kCPU, true).parts));
}

TEST(StoryRender, ScalesWithTheSize) {
  StoryConfig large = kSmall;
  large.width *= 2, large.height *= 2;
  const at::Tensor small = to_float(render_story(plan_story(4, kSmall), at::kCPU).frames);
  const at::Tensor shrunk = at::avg_pool2d(to_float(render_story(plan_story(4, large), at::kCPU).frames), {2, 2});
  EXPECT_LT((small - shrunk).abs().mean().item<float>(), 0.03f);
}

TEST(StoryRender, RefusesFramesBeyondTheStory) {
  const auto error = [](int64_t begin, int64_t end) -> std::string {
    return test::error_of([&] { render_story(plan_story(0, kSmall), at::kCPU, false, begin, end); });
  };
  EXPECT_EQ(error(10, 60), "story frames [10, 60), expected at least one frame within [0, 49)");
  EXPECT_EQ(error(10, 10), "story frames [10, 10), expected at least one frame within [0, 49)");
}

TEST(StoryRenderGpu, AgreesWithTheCpu) {
  MOGA_NEEDS_GPU();
  const Story story = plan_story(6, kSmall);
  const RenderedStory cpu = render_story(story, at::kCPU, true), gpu = render_story(story, at::kCUDA, true);
  EXPECT_TRUE(gpu.frames.is_cuda() && gpu.parts.is_cuda());
  EXPECT_TRUE(at::equal(cpu.frames, gpu.frames.cpu()));
  EXPECT_TRUE(at::equal(cpu.parts, gpu.parts.cpu()));
}

}  // namespace
}  // namespace moga
