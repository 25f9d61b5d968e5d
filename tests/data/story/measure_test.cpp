// What the measurement promises: rendered stories are right, blurred and shifted ones too, wrong colours are noticed.
#include "moga/data/story/measure.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>

#include "moga/core/random.h"
#include "moga/data/story/render.h"
#include "tests/support/error.h"

namespace moga {
namespace {

const StoryConfig kConfig{.frames = 49};

at::Tensor frames_of(const Story& story) { return render_story(story, at::kCPU).frames; }

struct Tally {
  int64_t right = 0, all = 0;
  double share() const { return static_cast<double>(right) / static_cast<double>(all); }
};

Tally measure(uint64_t stories, const std::function<at::Tensor(const at::Tensor&)>& spoil) {
  Tally tally;
  for (uint64_t seed = 0; seed < stories; ++seed) {
    const Story story = plan_story(seed, kConfig);
    for (const ColourReading& reading : measure_story(spoil(frames_of(story)), story)) {
      tally.right += reading.hat_right + reading.shirt_right;
      tally.all += 2;
    }
  }
  return tally;
}

// What a lossy decoder does: soft edges, chroma averaged over 8×8 pixels, a shift of 2 pixels, noise.
at::Tensor spoilt(const at::Tensor& frames) {
  at::Tensor x = frames.to(at::kFloat).roll({2, -2}, {2, 3});
  x = at::avg_pool2d(x, {3, 3}, {1, 1}, {1, 1}, false, false);
  const at::Tensor luma = x.mean(1, true);
  const at::Tensor chroma = at::upsample_bilinear2d(at::avg_pool2d(x - luma, {8, 8}), {x.size(2), x.size(3)}, false);
  x = luma + chroma + 12 * at::randn(x.sizes(), random_stream(1, "noise"), x.options());
  return x.round().clamp(0, 255).to(at::kByte);
}

TEST(StoryMeasure, FindsEveryColourOfARenderedStory) {
  const Tally tally = measure(6, [](const at::Tensor& frames) { return frames; });
  EXPECT_EQ(tally.right, tally.all);
  EXPECT_GT(tally.all, 40);
}

TEST(StoryMeasure, FindsColoursInSpoiltFrames) { EXPECT_GE(measure(6, spoilt).share(), 0.99); }

TEST(StoryMeasure, NoticesWrongColours) {
  const Story story = plan_story(2, kConfig);
  Story wrong = story;
  for (Person& person : wrong.persons) {
    person.hat_colour = (person.hat_colour + 3) % 8;
    person.shirt_colour = (person.shirt_colour + 5) % 8;
  }
  for (const ColourReading& reading : measure_story(frames_of(wrong), story)) {
    EXPECT_FALSE(reading.hat_right || reading.shirt_right);
    EXPECT_EQ(reading.hat_predicted, wrong.persons[static_cast<size_t>(reading.person)].hat_colour);
    EXPECT_EQ(reading.shirt_predicted, wrong.persons[static_cast<size_t>(reading.person)].shirt_colour);
  }
}

TEST(StoryMeasure, ByShotCountsOnlyWhatTheCaptionDoesNotTell) {
  const auto reading = [](int64_t shot, bool told, bool hat, bool shirt) {
    ColourReading it{};
    it.shot = shot, it.told = told, it.hat_right = hat, it.shirt_right = shirt;
    return it;
  };
  const std::vector<ColourReading> readings = {reading(0, true, true, true), reading(1, false, true, false),
                                               reading(1, false, true, true)};
  const auto scores = score_by_shot(readings);
  ASSERT_EQ(scores.size(), 2u);
  EXPECT_EQ(scores[0].cases, 0);
  EXPECT_EQ(scores[1].cases, 2);
  EXPECT_EQ(scores[1].accuracy(), 0.75);
  EXPECT_EQ(score_all(readings).cases, 3);
  EXPECT_EQ(score_all(readings).hats_right, 3);
}

TEST(StoryMeasure, RefusesOtherShapes) {
  const at::Tensor frames = at::zeros({48, 3, 128, 224}, at::kByte);
  EXPECT_EQ(test::error_of([&] { measure_story(frames, plan_story(0, kConfig)); }),
            "frames of a story: Byte [48, 3, 128, 224], expected uint8 [49, 3, 128, 224]");
}

}  // namespace
}  // namespace moga
