// `moga bench vae` runs both ways of the VAE and counts their arithmetic.
#include "moga/bench/vae_bench.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "moga/core/check.h"
#include "moga/model/vae/vae.h"
#include "tests/support/error.h"

namespace moga {
namespace {

VaeBenchConfig small() {
  VaeBenchConfig config;
  VaeConfig vae;
  vae.base_dim = 8;
  config.codec = vae;
  config.frames = 5;
  config.width = 32;
  config.height = 16;
  return config;
}

const BenchSetup kOnce = {.device = at::kCPU, .dtype = at::kFloat, .meter = {.warm_up = 0, .repeats = 1}};

TEST(VaeBench, TimesBothWays) {
  for (const ConvolutionWay way :
       {ConvolutionWay::automatic, ConvolutionWay::volume, ConvolutionWay::planes, ConvolutionWay::stacked}) {
    VaeBenchConfig config = small();
    config.convolution = way;
    const BenchReport report = bench_vae(config, kOnce);
    ASSERT_EQ(report.rows.size(), 2u);
    EXPECT_EQ(report.rows[1].pass, "decode");
    for (const BenchRow& row : report.rows) {
      EXPECT_GT(row.measured.peak_bytes, 0);
      EXPECT_DOUBLE_EQ(*row.ratio, row.measured.seconds * 1e3 / 5);
    }
  }
}

// Wan2.1's decoder at the highest level: six convolutions of 96 × 96 × 27 for each of 4 · 480 · 832 pixels, most of it.
TEST(VaeBench, CountsTheConvolutions) {
  const VaeConfig wan;
  const double latents = 60 * 104, top = 6 * 2.0 * 27 * 96 * 96 * 4 * 64 * latents;
  EXPECT_GT(wan.decode_flop(latents), 2 * top);
  EXPECT_LT(wan.decode_flop(latents), 4 * top);
  EXPECT_LT(wan.encode_flop(latents), wan.decode_flop(latents));
}

// Wan2.2's at the highest level: one convolution of 512 × 256 × 27 and five of 256 × 256 × 27 for each 2×2 pixels.
TEST(VaeBench, CountsTheConvolutionsOfWan22) {
  const VaeConfig wan = wan22_vae_config();
  const double latents = 44 * 80, top = 7 * 2.0 * 27 * 256 * 256 * 4 * 64 * latents;
  EXPECT_GT(wan.decode_flop(latents), 2 * top);
  EXPECT_LT(wan.decode_flop(latents), 6 * top);
  EXPECT_LT(wan.encode_flop(latents), wan.decode_flop(latents) / 2);
}

TEST(VaeBench, RefusesClipsThatTheVaeCannotTake) {
  VaeBenchConfig config = small();
  config.frames = 8;
  EXPECT_EQ(test::error_of([&] { bench_vae(config, kOnce); }), "--frames is 8, expected 1 + 4k");
  config.frames = 5;
  config.height = 20;
  EXPECT_EQ(test::error_of([&] { bench_vae(config, kOnce); }), "--size is 32x20, expected multiples of 8");
}

}  // namespace
}  // namespace moga
