// Token counts, offsets and runs of equal videos of packed layouts.
#include "moga/attention/layout.h"

#include <gtest/gtest.h>

#include "tests/support/error.h"

namespace moga::test {
namespace {

const Layout kLayout{{{3, 2, 2, {1, 2}}, {2, 1, 3, {}}}};  // 12 + 6 tokens

TEST(Layout, CountsTokensAndShots) {
  EXPECT_EQ(kLayout.tokens(), 18);
  EXPECT_EQ(kLayout.shots(), 3);
  EXPECT_EQ(kLayout.video_offsets(), (std::vector<int64_t>{0, 12, 18}));
  EXPECT_EQ(kLayout.videos[0].begin_of_shot(1), 1);
  EXPECT_EQ(kLayout.videos[0].begin_of_shot(2), 3);
  EXPECT_EQ(kLayout.videos[1].begin_of_shot(1), 2);
}

TEST(Layout, RefusesShotsThatDoNotFillTheVideo) {
  const auto error = [](const VideoShape& video) { return error_of([&] { video.validate(); }); };
  EXPECT_EQ(error({5, 2, 2, {2, 2}}), "shots have 4 latent frames in all, the video has 5");
  EXPECT_EQ(error({5, 0, 2, {}}), "a video has at least one frame, row and column; got 5×0×2");
  EXPECT_EQ(error({5, 2, 2, {5, 0}}), "a shot has at least one latent frame, got 0");
  EXPECT_EQ(error_of([] { Layout{}.validate(); }), "a layout has at least one video");
}

}  // namespace
}  // namespace moga::test
