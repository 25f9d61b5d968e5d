// The norm over the channels of each pixel, with and without SiLU, against float64; the copy of the last rows is exact.
#include "moga/kernels/channel_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/device_tensors.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

struct Inputs {
  at::Tensor x, gamma;
};

// Row 0 is zero: its norm is bounded from below by 1e-12, and y is zero.
Inputs draw(int64_t tokens, int64_t channels) {
  const Inputs in = {random_on_gpu({tokens, channels}, at::kBFloat16, 3),
                     random_on_gpu({channels}, at::kBFloat16, 0.3, 1)};
  in.x[0].zero_();
  return in;
}

at::Tensor reference(const Inputs& in, bool silu) {
  const at::Tensor x = exact(in.x), norm = x.square().sum(1, true).sqrt().clamp_min(1e-12);
  const at::Tensor y = x * std::sqrt(static_cast<double>(x.size(1))) / norm * exact(in.gamma);
  return silu ? y * at::sigmoid(y) : y;
}

void run(const Inputs& in, const at::Tensor& y, bool silu, const at::Tensor& kept = {}) {
  const int64_t tokens = in.x.size(0);
  kernels::channel_norm({.x = elements(in.x),
                         .gamma = elements(in.gamma),
                         .y = elements(y),
                         .kept = elements(kept),
                         .kept_from = kept.defined() ? tokens - kept.size(0) : 0,
                         .silu = silu,
                         .tokens = tokens,
                         .channels = static_cast<int32_t>(in.x.size(1))});
}

// Every number of lanes and vectors that the launch chooses from, in part and in full.
TEST(ChannelNormGpu, IsWithinRounding) {
  MOGA_NEEDS_GPU();
  for (const auto& [tokens, channels] : {std::pair{2, 8},
                                         {66001, 32},
                                         {1003, 64},
                                         {1003, 96},
                                         {67, 192},
                                         {67, 384},
                                         {1003, 640},
                                         {9, 768},
                                         {9, kernels::kMaxChannels}})
    for (const bool silu : {false, true}) {
      const Inputs in = draw(tokens, channels);
      const at::Tensor y = unwritten(in.x.sizes());
      run(in, y, silu);
      EXPECT_TRUE(rounded_from(y, reference(in, silu))) << tokens << " x " << channels << ", SiLU " << silu;
    }
}

TEST(ChannelNormGpu, InPlaceAndWithTheLastRowsCopied) {
  MOGA_NEEDS_GPU();
  for (const int64_t channels : {24, 96, 1000}) {
    const Inputs in = draw(777, channels);
    const at::Tensor y = unwritten(in.x.sizes()), kept = unwritten({100, channels});
    run(in, y, /*silu=*/true, kept);
    EXPECT_TRUE(at::equal(kept, y.narrow(0, 677, 100)));
    run(in, in.x, /*silu=*/true);
    EXPECT_TRUE(at::equal(in.x, y));
  }
}

}  // namespace
}  // namespace moga::test
