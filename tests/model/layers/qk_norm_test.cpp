// The norm of queries and keys against its formula.
#include "moga/model/layers/qk_norm.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/model/layers/rope.h"
#include "tests/support/compare.h"

namespace moga {
namespace {

constexpr double kEps = 1e-6;

at::Tensor normalised(const at::Tensor& x) { return x * (x.square().mean(1, true) + kEps).rsqrt(); }

TEST(QkNorm, DividesByTheRootMeanSquareOverAllHeads) {
  QkNorm norm(12, kEps);
  norm->initialise();
  const at::Tensor x = at::randn({5, 12}) * 3;
  EXPECT_TRUE(test::close(norm(x, at::Tensor(), 2).detach().flatten(1), normalised(x), 1e-6));
}

TEST(QkNorm, RotatesAfterTheNorm) {
  QkNorm norm(24, kEps);
  norm->weight.detach().normal_();
  const at::Tensor x = at::randn({6, 24}), table = rotary_table({{{1, 2, 3, {}}}}, 12, at::kCPU);
  const at::Tensor expected = rotate((normalised(x) * norm->weight).view({6, 2, 12}), table);
  EXPECT_TRUE(test::close(norm(x, table, 2).detach(), expected.detach(), 1e-6));
}

}  // namespace
}  // namespace moga
