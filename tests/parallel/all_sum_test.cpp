// A loss of a sum over ranks: parameter gradients of all ranks add up to those of one process.
#include "moga/parallel/all_sum.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include "moga/core/random.h"
#include "tests/support/ranks.h"

namespace moga::test {
namespace {

// L = Σ (Σ_r f(w, x_r))², f(w, x) = x² w
MOGA_RANKS(loss_of_a_sum) {
  const auto of = [](int64_t rank) { return at::randn({7}, random_stream(rank, "all_sum"), at::kDouble).square(); };
  const auto leaf = [] { return at::linspace(1, 2, 7, at::kDouble).requires_grad_(); };
  const at::Tensor own = leaf(), alone = leaf();
  at::Tensor gradient = torch::autograd::grad({all_sum(world, of(world.rank()) * own).square().sum()}, {own})[0];
  world.all_reduce(gradient);
  at::Tensor sum = at::zeros({7}, at::kDouble);
  for (int64_t rank = 0; rank < world.size(); ++rank) sum = sum + of(rank) * alone;
  const at::Tensor expected = torch::autograd::grad({sum.square().sum()}, {alone})[0];
  check(at::allclose(gradient, expected, 1e-12, 1e-12), "the gradients of the ranks do not add up to one process's");
}

TEST(AllSum, GradientsOfRanksAddUp) { EXPECT_EQ(run_ranks("loss_of_a_sum", 3).line, ""); }
TEST(AllSum, OneRank) { ranks_loss_of_a_sum(ProcessGroup()); }

}  // namespace
}  // namespace moga::test
