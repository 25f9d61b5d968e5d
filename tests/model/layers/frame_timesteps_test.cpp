// Which rows have which timestep where frames are given.
#include "moga/model/layers/frame_timesteps.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/error.h"

namespace moga {
namespace {

const Layout kLayout = {{{5, 2, 3, {2, 3}}, {2, 1, 4, {}}, {1, 2, 2, {}}}};

TEST(FrameTimesteps, OfDenoisedVideosAreOnePerVideo) {
  const FrameTimesteps timesteps = frame_timesteps(kLayout, {}, at::kCPU);
  EXPECT_EQ(timesteps.segments, video_segments(kLayout));
  const at::Tensor timestep = at::tensor({700.0f, 300.0f, 1.0f});
  EXPECT_TRUE(at::equal(timesteps.of(timestep), timestep));
}

TEST(FrameTimesteps, AreZeroInGivenFrames) {
  const FrameTimesteps timesteps = frame_timesteps(kLayout, {{0, 2, 3}, {}, {0}}, at::kCPU);
  const Segments expected = {{0, 1, 0, 6}, {1, 1, 6, 6}, {2, 1, 12, 12}, {3, 1, 24, 6}, {4, 1, 30, 8}, {5, 1, 38, 4}};
  EXPECT_EQ(timesteps.segments, expected);
  EXPECT_TRUE(at::equal(timesteps.of(at::tensor({700.0f, 300.0f, 1.0f})),
                        at::tensor({0.0f, 700.0f, 0.0f, 700.0f, 300.0f, 0.0f})));
}

TEST(FrameTimesteps, NameFramesThatAreNotTheVideos) {
  const auto error = [](const std::vector<std::vector<int64_t>>& given) {
    return test::error_of([&] { frame_timesteps(kLayout, given, at::kCPU); });
  };
  EXPECT_EQ(error({{0}}), "given frames of 1 videos, expected 3");
  EXPECT_EQ(error({{}, {2}, {}}), "given frames of video 1 are [2], it has 2");
  EXPECT_EQ(error({{1, 0}, {}, {}}), "given frames of video 0 are [1, 0], expected ascending ones");
}

}  // namespace
}  // namespace moga
