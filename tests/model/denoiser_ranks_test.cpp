// The denoiser on meshes guidance × sequence against one process: velocity and group histogram, with and without
// guidance.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/model/denoiser.h"
#include "tests/model/wan/transformer_cases.h"
#include "tests/support/compare.h"
#include "tests/support/ranks.h"

namespace moga::test {
namespace {

const std::vector<VideoShape> kVideos = {{5, 4, 3, {2, 3}}, {3, 2, 4, {}}};

DenoiserOutput evaluate(Transformer& model, double guidance, const Mesh& mesh) {
  at::manual_seed(5);
  const at::Tensor text = at::randn({guidance == 1 ? 3 : 6, 8, 16}, at::kDouble);
  const Denoiser denoiser(*model,
                          {.videos = kVideos, .text = text, .guidance = guidance, .dtype = at::kDouble, .mesh = mesh});
  int64_t elements = 0;
  for (const auto& shape : denoiser.latent_shapes()) elements += c10::multiply_integers(shape);
  return denoiser.evaluate(at::randn({elements}, at::kDouble), {.timestep = 400});
}

MOGA_RANKS(denoised_together) {
  const at::NoGradGuard no_grad;
  at::manual_seed(3);
  Transformer model = random_transformer(small_config());
  model->to(at::kDouble);
  const double guidance = std::stod(rank_argument());
  const Mesh mesh = Mesh::generation(world, guidance_ranks(world.size(), guidance != 1));
  check(mesh.guidance().size() == (guidance != 1 && world.size() % 2 == 0 ? 2 : 1), mesh.guidance().size(), " halves");
  const DenoiserOutput whole = evaluate(model, guidance, {}), own = evaluate(model, guidance, mesh);
  const auto same = close(own.velocity, whole.velocity, 1e-12);
  check(static_cast<bool>(same), "velocity: ", same.message());
  check(at::equal(own.group_histogram, whole.group_histogram), "the histogram differs");
}

MOGA_RANKS(halves_without_guidance) {
  Transformer model = random_transformer(small_config());
  evaluate(model, 1, Mesh::generation(world, 2));
}

TEST(DenoiserOnRanks, EqualsOneProcess) {
  for (const int64_t ranks : {2, 3, 4})
    for (const char* guidance : {"1", "3"})
      EXPECT_EQ(run_ranks("denoised_together", ranks, {.argument = guidance}).line, "") << ranks << ", " << guidance;
}

TEST(DenoiserOnRanks, WithoutGuidanceThereIsNoSecondHalf) {
  const std::string line = run_ranks("halves_without_guidance", 2).line;
  EXPECT_NE(line.find("denoiser: 2 guidance ranks, expected 1: at guidance 1 there is no"), std::string::npos) << line;
}

}  // namespace
}  // namespace moga::test
