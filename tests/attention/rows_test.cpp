// Rows into group order and back: each function is the inverse or the gradient of another.
#include "moga/attention/rows.h"

#include <torch/types.h>

#include "tests/attention/cases.h"

namespace moga::test {
namespace {

at::Tensor values(at::IntArrayRef shape) { return at::randn(shape, at::kDouble); }

TEST(Rows, ScatterUndoesGather) {
  for (const Rows& rows : {make_rows({7, 0, 13}, random_order(20, 1), at::kCPU), make_rows({4, 16}, {}, at::kCPU)}) {
    const at::Tensor x = values({20, 2, 3});
    EXPECT_TRUE(at::equal(scatter_rows(gather_rows(x, rows), rows, 20), x));
  }
}

TEST(Rows, ScatterFillsRowsOfNoGroup) {
  const Rows rows = make_rows({2, 1}, {3, 0, 4}, at::kCPU);
  const at::Tensor x = values({3, 2}), y = scatter_rows(x, rows, 6, -1);
  EXPECT_TRUE(at::equal(y.index_select(0, rows.index), x));
  EXPECT_TRUE(at::equal(y.index_select(0, at::tensor({1, 2, 5})), at::full({3, 2}, -1, at::kDouble)));
}

// ⟨gather x, y⟩ = ⟨x, accumulate y⟩
TEST(Rows, AccumulateIsTheGradientOfGather) {
  for (const Rows& rows : {make_rows({3, 2}, {4, 1, 0, 1, 4}, at::kCPU), make_rows({2, 3}, {}, at::kCPU)}) {
    const at::Tensor x = values({6, 2}), y = values({5, 2});
    EXPECT_NEAR((gather_rows(x, rows) * y).sum().item<double>(), (x * accumulate_rows(y, rows, 6)).sum().item<double>(),
                1e-12);
  }
}

TEST(Rows, SumAddsWhatEachPartAccumulates) {
  const std::vector<Rows> rows = {make_rows({3, 2}, {4, 1, 0, 1, 4}, at::kCPU), make_rows({6}, {}, at::kCPU)};
  const at::Tensor a = values({5, 2}), b = values({6, 2});
  EXPECT_TRUE(close(sum_rows({a, b}, rows, 6), accumulate_rows(a, rows[0], 6) + b, 1e-14));
}

}  // namespace
}  // namespace moga::test
