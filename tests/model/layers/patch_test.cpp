// The ends of the transformer: patches and the timestep's sinusoid.
#include "moga/model/layers/patch.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "moga/model/layers/timestep.h"
#include "tests/support/compare.h"

namespace moga {
namespace {

using test::close;

TEST(PatchEmbedding, EqualsAConvolutionWithKernelAndStrideOfThePatch) {
  at::manual_seed(6);
  PatchEmbedding embedding(3, 10, PatchSize{});
  embedding->initialise();
  const std::vector<at::Tensor> latents = {at::randn({3, 2, 4, 6}), at::randn({3, 1, 8, 2})};
  std::vector<at::Tensor> expected;
  for (const at::Tensor& latent : latents)
    expected.push_back(
        at::conv3d(latent.unsqueeze(0), embedding->weight, embedding->bias, {1, 2, 2})[0].flatten(1).t());
  EXPECT_TRUE(close(embedding(patchify(latents, {}, at::kFloat)), at::cat(expected), 1e-6));
}

TEST(Unpatchify, PutsChannelsLastInAPatch) {
  const Layout layout = {{{.frames = 2, .rows = 3, .columns = 2, .shot_frames = {}},
                          {.frames = 1, .rows = 1, .columns = 4, .shot_frames = {}}}};
  const at::Tensor rows = at::randn({16, 2 * 2 * 5});
  const auto latents = unpatchify(rows, layout, {});
  ASSERT_EQ(latents[0].sizes(), at::IntArrayRef({5, 2, 6, 4}));
  ASSERT_EQ(latents[1].sizes(), at::IntArrayRef({5, 1, 2, 8}));
  // Video 1, token column 2: row 14; lower left pixel, channel 3.
  EXPECT_EQ(latents[1][3][0][1][4].item<float>(), rows[14][(1 * 2 + 0) * 5 + 3].item<float>());
}

TEST(TimestepSinusoid, CosinesThenSines) {
  const at::Tensor sinusoid = timestep_sinusoid(at::tensor({0.0f, 250.0f}), 8);
  EXPECT_TRUE(close(sinusoid[0].to(at::kFloat), at::tensor({1.0f, 1.0f, 1.0f, 1.0f, 0.0f, 0.0f, 0.0f, 0.0f}), 1e-7));
  EXPECT_NEAR(sinusoid[1][1].item<double>(), std::cos(25.0), 1e-9);
  EXPECT_NEAR(sinusoid[1][6].item<double>(), std::sin(2.5), 1e-9);
}

}  // namespace
}  // namespace moga
