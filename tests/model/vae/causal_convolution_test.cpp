// The VAE's convolution: every way with a residual, the weight's form for the kernel `sm90`, and that kernel against
// float64, allowed twice the error of the library in bfloat16.
#include "moga/model/vae/causal_convolution.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

TEST(CausalConvolution, EveryWayAddsTheResidual) {
  const at::Tensor x = at::randn({2, 6, 5, 7, 4}, at::kDouble), weight = at::randn({3, 6, 3, 3, 3}, at::kDouble);
  const at::Tensor bias = at::randn({3}, at::kDouble), residual = at::randn({2, 3, 3, 7, 4}, at::kDouble);
  const at::Tensor expected = at::conv3d(x, weight, bias, 1, at::IntArrayRef{0, 1, 1}) + residual;
  for (const char* name : {"auto", "volume", "planes", "stacked"}) {
    const ConvolutionWay way = choice<ConvolutionWay>("convolution", name);
    EXPECT_TRUE(test::close(causal_convolution(x, weight, bias, {.way = way, .residual = residual}), expected, 1e-12))
        << name;
  }
}

TEST(CausalConvolution, SaysWhatSm90CanServe) {
  const at::Tensor x = at::zeros({1, 8, 3, 4, 4}), weight = at::zeros({8, 8, 3, 3, 3});
  EXPECT_NE(test::error_of([&] {
              causal_convolution(x, weight, at::zeros({8}), {.way = ConvolutionWay::sm90});
            }).find("convolution sm90 "),
            std::string::npos);
}

// By the formula of tiled_weight, with channel tiles of 4.
TEST(ConvolutionWeight, TilesHoldEveryWeightOnceAndZeros) {
  const at::Tensor weight = at::randn({6, 40, 2, 3, 3}, at::kDouble), tiles = tiled_weight(weight, 4);
  ASSERT_EQ(tiles.sizes(), at::IntArrayRef({2, 2, 2, 3, 3, 4, 4, 8}));
  for (int64_t n = 0; n < 6; ++n)
    for (int64_t c = 0; c < 40; ++c) {
      const at::Tensor taps = tiles[n / 4].select(1, c / 32).select(3, c % 32 / 8).select(3, n % 4).select(3, c % 8);
      EXPECT_TRUE(at::equal(taps, weight[n][c])) << n << ", " << c;
    }
  EXPECT_NEAR(tiles.abs().sum().item<double>(), weight.abs().sum().item<double>(), 1e-9);
}

TEST(ConvolutionWeight, IsLaidOutAgainOnlyWhenTheWeightChanges) {
  const at::Tensor weight = at::randn({8, 8, 1, 3, 3}), bias = at::randn({8});
  ConvolutionWeight kept;
  const at::Tensor first = kept.of(weight, bias, 8).weight;
  EXPECT_TRUE(kept.of(weight, bias, 8).weight.is_same(first));
  weight.add_(1);
  EXPECT_TRUE(at::equal(kept.of(weight, bias, 8).weight, tiled_weight(weight.to(at::kBFloat16), 8)));
  bias.zero_();
  EXPECT_EQ(kept.of(weight, bias, 8).bias.abs().max().item<float>(), 0);
}

TEST(ConvolutionWeight, IsLaidOutAgainForANewTensorAtTheSameAddress) {
  const at::Tensor bias = at::zeros({8});
  ConvolutionWeight kept;
  for (int round = 0; round < 8; ++round) {
    const at::Tensor weight = at::randn({8, 8, 1, 3, 3}, at::kBFloat16);
    EXPECT_TRUE(at::equal(kept.of(weight, bias, 8).weight, tiled_weight(weight, 8))) << round;
  }
}

struct Case {
  int64_t videos, frames, rows, columns, in, out, kernel_frames, side, time_stride;
  bool residual;
};

at::Tensor random(at::IntArrayRef shape) {
  return at::randn(shape, at::TensorOptions(at::kCUDA).dtype(at::kBFloat16)).contiguous();
}

at::Tensor video(int64_t videos, int64_t channels, int64_t frames, const Case& c) {
  return random({videos, channels, frames, c.rows, c.columns}).contiguous(at::MemoryFormat::ChannelsLast3d);
}

void expect_as_good_as_library(const Case& c) {
  const int64_t frames_in = (c.frames - 1) * c.time_stride + c.kernel_frames;
  const at::Tensor x = video(c.videos, c.in, frames_in, c), bias = random({c.out});
  const at::Tensor weight = random({c.out, c.in, c.kernel_frames, c.side, c.side}) / std::sqrt(9.0 * c.in);
  const at::Tensor residual = c.residual ? video(c.videos, c.out, c.frames, c) : at::Tensor();
  // The allocator hands this memory to the result: an element left out stays NaN.
  at::full({c.videos, (c.out + 7) / 8 * 8, c.frames, c.rows, c.columns}, std::numeric_limits<float>::quiet_NaN(),
           x.options());
  const at::Tensor actual = causal_convolution(
      x, weight, bias, {.time_stride = c.time_stride, .way = ConvolutionWay::sm90, .residual = residual});
  const auto library = [&](at::ScalarType dtype) {
    const at::Tensor y = at::conv3d(x.to(dtype), weight.to(dtype), bias.to(dtype), {c.time_stride, 1, 1},
                                    at::IntArrayRef{0, c.side / 2, c.side / 2});
    return (c.residual ? y + residual : y).cpu();
  };
  EXPECT_TRUE(test::as_good_as(actual.cpu(), library(at::kBFloat16), library(at::kDouble)))
      << c.in << " to " << c.out << " channels, " << c.frames << " x " << c.rows << " x " << c.columns;
}

TEST(CausalConvolutionGpu, Sm90EqualsFloat64) {
  MOGA_NEEDS_GPU();
  const at::NoGradGuard no_grad;
  const Case cases[] = {
      {1, 1, 8, 8, 32, 96, 3, 3, 1, false},    {1, 4, 30, 52, 96, 96, 3, 3, 1, true},
      {2, 2, 17, 9, 192, 96, 3, 3, 1, false},  {1, 1, 60, 104, 384, 384, 3, 3, 1, true},
      {1, 2, 30, 52, 16, 384, 3, 3, 1, false}, {2, 4, 17, 9, 3, 96, 3, 3, 1, false},
      {1, 4, 60, 104, 96, 3, 3, 3, 1, false},  {2, 2, 17, 9, 96, 3, 3, 3, 1, true},
      {2, 3, 30, 52, 192, 96, 1, 3, 1, true},  {1, 4, 240, 416, 192, 192, 3, 3, 1, true},
      {2, 2, 17, 9, 384, 768, 3, 1, 1, false}, {1, 2, 30, 52, 96, 96, 3, 1, 2, false},
      {2, 2, 30, 52, 192, 96, 1, 1, 1, true},  {1, 1, 1, 1, 8, 40, 1, 1, 1, false},
      {1, 1, 9, 25, 384, 32, 3, 3, 1, false},  {1, 1, 1, 1, 8, 8, 3, 3, 1, true},
  };
  for (const Case& c : cases) expect_as_good_as_library(c);
}

}  // namespace
}  // namespace moga
