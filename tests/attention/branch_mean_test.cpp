// The mean of branches against its formula; on a GPU it is tested by row_kernels_gpu_test.cpp.
#include "moga/attention/branch_mean.h"

#include <torch/types.h>

#include "moga/core/random.h"
#include "tests/support/gradcheck.h"

namespace moga::test {
namespace {

at::Tensor random(at::IntArrayRef shape, uint64_t seed) {
  return at::randn(shape, random_stream(seed, "branch_mean_test"), at::kDouble);
}

TEST(BranchMean, ScalesTheLastBranchAndRoundsOnce) {
  const at::Tensor a = random({5, 2, 4}, 1), b = random({5, 2, 4}, 2), gate = random({5}, 3).abs();
  EXPECT_TRUE(close(plain_branch_mean({a, b}, gate), (a + b * gate.view({5, 1, 1})) / 2, 1e-15));
  EXPECT_TRUE(at::equal(plain_branch_mean({a}, {}), a));
  const at::Tensor half = a.to(at::kBFloat16);
  EXPECT_TRUE(at::equal(plain_branch_mean({half, half, half}, {}), half));
}

// Branches in group order, one of which lacks a row.
TEST(BranchMean, BackwardIsTheGradientOfForward) {
  const std::vector<Rows> rows = {make_rows({2, 3}, {4, 0, 3, 1, 2}, at::kCPU),
                                  make_rows({1, 3}, {2, 0, 4, 1}, at::kCPU)};
  const at::Tensor a = random({5, 2, 2}, 1), b = random({4, 2, 2}, 2), gate = random({5}, 3), dy = random({5, 2, 2}, 4);
  const BranchMeanGradients actual = branch_mean_backward(dy, b, rows, gate);
  const auto expect = [&](const Tensors& at, size_t i, const at::Tensor& gradient) {
    const auto loss = [&](double by) {
      Tensors moved = at;
      moved[i] = at[i] + by * gradient;
      return (branch_mean({moved[0], moved[1]}, rows, moved[2], 5) * dy).sum().item<double>();
    };
    EXPECT_NEAR((loss(1e-4) - loss(-1e-4)) / 2e-4, gradient.square().sum().item<double>(), 1e-8) << i;
  };
  expect({a, b, gate}, 0, actual.branches[0]);
  expect({a, b, gate}, 1, actual.branches[1]);
  expect({a, b, gate}, 2, actual.gate);
}

}  // namespace
}  // namespace moga::test
