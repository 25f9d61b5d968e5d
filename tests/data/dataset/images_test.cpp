// Which shots show images: shares are obeyed, and the draw is a function of the settings and the video alone.
#include "moga/data/dataset/images.h"

#include <gtest/gtest.h>

#include "tests/support/error.h"

namespace moga {
namespace {

const std::vector<int64_t> kShots = {3, 1, 4};

TEST(DrawImages, IsAFunctionOfSettingsAndVideo) {
  const ImagesConfig config{.form = ImageForm::kCondition, .share = 0.5, .last = 0.5};
  ImagesConfig other = config;
  other.seed = 2;
  int64_t other_videos = 0, other_seeds = 0;
  for (uint64_t video = 0; video < 50; ++video) {
    const ShownImages shown = draw_images(config, video, kShots), again = draw_images(config, video, kShots);
    EXPECT_EQ(shown.first, again.first);
    EXPECT_EQ(shown.last, again.last);
    other_videos += shown.first != draw_images(config, video + 1, kShots).first;
    other_seeds += shown.first != draw_images(other, video, kShots).first;
  }
  EXPECT_GT(other_videos, 20);
  EXPECT_GT(other_seeds, 20);
}

TEST(DrawImages, ObeysTheShares) {
  const ImagesConfig config{.form = ImageForm::kCondition, .share = 0.7, .last = 0.4};
  int64_t first = 0, last = 0, long_shots = 0;
  for (uint64_t video = 0; video < 4000; ++video) {
    const ShownImages shown = draw_images(config, video, kShots);
    first += shown.count();
    EXPECT_FALSE(shown.last[1]);  // of one latent frame
    for (const size_t shot : {0, 2}) {
      EXPECT_TRUE(shown.first[shot] || !shown.last[shot]);
      long_shots += shown.first[shot];
      last += shown.last[shot];
    }
  }
  EXPECT_NEAR(static_cast<double>(first) / 12000, 0.7 + 0.3 * 0.3 * 0.3 / 3, 0.012);  // a video without gets one
  EXPECT_NEAR(static_cast<double>(last) / static_cast<double>(long_shots), 0.4, 0.02);
}

TEST(DrawImages, AConditionShowsAtLeastOneAndLatentsMayShowNone) {
  ImagesConfig config{.form = ImageForm::kCondition, .share = 0.05};
  for (uint64_t video = 0; video < 100; ++video) EXPECT_GT(draw_images(config, video, kShots).count(), 0);
  config.form = ImageForm::kLatents;
  int64_t none = 0;
  for (uint64_t video = 0; video < 100; ++video) none += draw_images(config, video, kShots).count() == 0;
  EXPECT_GT(none, 70);
}

TEST(ImagesConfig, WrongSettingsAreNamed) {
  const auto error = [](ImagesConfig config) { return test::error_of([&] { config.validate(); }); };
  EXPECT_EQ(error({.form = ImageForm::kCondition, .share = 0}), "share is 0, expected more than 0 and at most 1");
  EXPECT_EQ(error({.form = ImageForm::kCondition, .last = 2}), "last is 2, expected 0 to 1");
  EXPECT_EQ(error({.form = ImageForm::kLatents, .last = 0.5}),
            "last is 0.5, expected 0: in form latents shots are given first frames alone");
  EXPECT_EQ(error({}), "");
  EXPECT_NE(error({.share = 0.5}).find("form is none, and share, last or image_encoder is set"), std::string::npos);
  EXPECT_NE(error({.form = ImageForm::kLatents, .image_encoder = "clip"}).find("image_encoder needs form = "),
            std::string::npos);
}

}  // namespace
}  // namespace moga
