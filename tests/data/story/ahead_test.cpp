// Drawing ahead returns the stories that are asked for, in any order, even if only a few are fetched.
#include "moga/data/story/ahead.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/check.h"
#include "moga/data/story/render.h"
#include "tests/support/error.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

const StoryConfig kTiny{.width = 64, .height = 32, .frames = 17, .min_shots = 1, .max_shots = 2};

Story plan(int64_t index) {
  check(index != 7, "no story 7");
  return plan_story(static_cast<uint64_t>(index), kTiny);
}

void expect_stories(at::Device device) {
  StoryAhead ahead(plan, device, /*with_parts=*/true);
  for (const int64_t index : {0, 1, 2, 5, 40, 3}) {
    const DrawnStory drawn = ahead.get(index);
    const RenderedStory expected = render_story(plan(index), at::kCPU, true);
    EXPECT_EQ(drawn.story.captions(), plan(index).captions());
    EXPECT_EQ(drawn.frames.device().type(), device.type());
    EXPECT_TRUE(at::equal(drawn.frames.cpu(), expected.frames)) << "story " << index;
    EXPECT_TRUE(at::equal(drawn.parts.cpu(), expected.parts)) << "story " << index;
  }
  EXPECT_GT(ahead.seconds_waited(), 0);
  EXPECT_EQ(test::error_of([&] { ahead.get(7); }), "no story 7");
}

TEST(StoryAhead, GivesTheStoriesAskedFor) { expect_stories(at::kCPU); }

TEST(StoryAheadGpu, GivesTheStoriesAskedFor) {
  MOGA_NEEDS_GPU();
  expect_stories(at::kCUDA);
}

}  // namespace
}  // namespace moga
