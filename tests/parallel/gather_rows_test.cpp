// Rows of unequal slices on every rank, and the gradient of a loss that every rank computes from them.
#include "moga/parallel/gather_rows.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>

#include "tests/support/ranks.h"

namespace moga::test {
namespace {

MOGA_RANKS(gathered_rows) {
  std::vector<int64_t> counts;
  for (int64_t rank = 0; rank < world.size(); ++rank) counts.push_back(rank + 1);
  const int64_t rows = world.size() * (world.size() + 1) / 2, first = world.rank() * (world.rank() + 1) / 2;
  const at::Tensor all = at::arange(2.0 * static_cast<double>(rows), at::kDouble).view({rows, 2});
  const at::Tensor own = all.narrow(0, first, world.rank() + 1).clone().requires_grad_();
  const at::Tensor gathered = gather_rows(world, own, counts);
  check(at::equal(gathered.detach(), all), "the rows are not those of all ranks in order");
  const at::Tensor gradient = torch::autograd::grad({gathered.square().sum()}, {own})[0];
  check(at::equal(gradient, 2 * own.detach()), "the gradient is not that of the rank's rows");
}

TEST(GatherRows, RowsAndGradient) { EXPECT_EQ(run_ranks("gathered_rows", 3).line, ""); }
TEST(GatherRows, OneRank) { ranks_gathered_rows(ProcessGroup()); }

}  // namespace
}  // namespace moga::test
