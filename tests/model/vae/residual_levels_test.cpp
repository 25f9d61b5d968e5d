// The shortcuts of Wan2.2's levels against sums written as loops, and levels in chunks against whole clips.
#include "moga/model/vae/residual_levels.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "tests/support/compare.h"

namespace moga {
namespace {

struct Shape {
  int64_t in, out;
  ResampleFactor factor;
};

at::Tensor random_clip(int64_t channels, int64_t frames) { return at::randn({2, channels, frames, 4, 6}, at::kDouble); }

// Value (channel, frame, row, column) of an output position, counted in that order.
TEST(AverageShortcut, AveragesGroupsOfEqualSize) {
  for (const auto& [in, out, f] : {Shape{4, 8, {2, 2}}, Shape{4, 4, {1, 2}}, Shape{6, 2, {1, 1}}, Shape{2, 2, {2, 2}}})
    for (const int64_t frames : {1, 4, 5}) {
      const at::Tensor x = random_clip(in, frames), y = average_shortcut(x, out, f);
      const int64_t first = (f.frames - frames % f.frames) % f.frames, group = in * f.positions() / out;
      at::Tensor expected = at::zeros({2, out, (frames + first) / f.frames, 4 / f.side, 6 / f.side}, at::kDouble);
      for (int64_t c = 0; c < in; ++c)
        for (int64_t t = 0; t < frames; ++t)
          for (int64_t row = 0; row < f.side; ++row)
            for (int64_t column = 0; column < f.side; ++column) {
              const int64_t part = (t + first) % f.frames;
              const int64_t value = ((c * f.frames + part) * f.side + row) * f.side + column;
              expected.select(1, value / group)
                  .select(1, (t + first) / f.frames)
                  .add_(x.select(1, c).select(1, t).slice(1, row, {}, f.side).slice(2, column, {}, f.side) / group);
            }
      EXPECT_TRUE(test::close(y, expected, 1e-12)) << in << " to " << out << ", " << frames << " frames";
    }
}

TEST(DuplicateShortcut, RepeatsChannelsOverPositions) {
  for (const auto& [in, out, f] : {Shape{4, 4, {2, 2}}, Shape{8, 4, {1, 2}}, Shape{4, 8, {2, 2}}})
    for (const bool first_chunk : {true, false}) {
      const at::Tensor x = random_clip(in, 3), y = duplicate_shortcut(x, out, f, first_chunk);
      const int64_t skipped = first_chunk ? f.frames - 1 : 0, repeats = out * f.positions() / in;
      ASSERT_EQ(y.sizes(), (at::IntArrayRef{2, out, 3 * f.frames - skipped, 4 * f.side, 6 * f.side}));
      for (int64_t o = 0; o < out; ++o)
        for (int64_t t = 0; t < y.size(2); ++t)
          for (int64_t row = 0; row < f.side; ++row)
            for (int64_t column = 0; column < f.side; ++column) {
              const int64_t part = (t + skipped) % f.frames;
              const int64_t value = ((o * f.frames + part) * f.side + row) * f.side + column;
              EXPECT_TRUE(at::equal(y.select(1, o).select(1, t).slice(1, row, {}, f.side).slice(2, column, {}, f.side),
                                    x.select(1, value / repeats).select(1, (t + skipped) / f.frames)));
            }
    }
}

TEST(Shortcuts, KeepChannelsLast) {
  const at::Tensor x = random_clip(4, 4).contiguous(at::MemoryFormat::ChannelsLast3d);
  EXPECT_TRUE(average_shortcut(x, 8, {2, 2}).is_contiguous(at::MemoryFormat::ChannelsLast3d));
  EXPECT_TRUE(duplicate_shortcut(x, 4, {2, 2}, false).is_contiguous(at::MemoryFormat::ChannelsLast3d));
}

template <class Level>
void expect_chunks_equal_whole(Level& level, const at::Tensor& x, int64_t chunk) {
  FeatureCache whole(FeatureCache::Clip::whole), chunked(FeatureCache::Clip::chunked);
  std::vector<at::Tensor> parts;
  for (int64_t begin = 0; begin < x.size(2); begin += begin == 0 ? 1 : chunk) {
    if (begin > 0) chunked.next_chunk();
    parts.push_back(level.forward(x.narrow(2, begin, begin == 0 ? 1 : chunk), chunked));
  }
  EXPECT_TRUE(test::close(at::cat(parts, 2), level.forward(x, whole), 1e-12));
}

TEST(ResidualLevels, InChunksEqualWholeClips) {
  const at::NoGradGuard no_grad;
  at::manual_seed(4);
  ResidualDownImpl down({.in = 4, .out = 8, .blocks = 2, .resample = true, .time = true});
  ResidualUpImpl up({.in = 8, .out = 4, .blocks = 2, .resample = true, .time = true});
  for (torch::nn::Module* level : {static_cast<torch::nn::Module*>(&down), static_cast<torch::nn::Module*>(&up)}) {
    for (const at::Tensor& weight : level->parameters()) weight.add_(at::randn_like(weight), 0.1);
    level->to(at::kDouble);
  }
  expect_chunks_equal_whole(down, random_clip(4, 9), 4);
  expect_chunks_equal_whole(up, random_clip(8, 5), 2);
}

}  // namespace
}  // namespace moga
