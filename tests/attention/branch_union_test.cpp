// Merging by log-sum-exp against one softmax over all keys, and the gate's gradient against autograd's.
#include "moga/attention/branch_union.h"

#include <torch/types.h>

#include "moga/core/random.h"
#include "tests/support/gradcheck.h"

namespace moga::test {
namespace {

at::Tensor random(at::IntArrayRef shape, uint64_t seed) {
  return at::randn(shape, random_stream(seed, "branch_union_test"), at::kDouble);
}

// Attention of 4 queries with given scores [4, H, keys] over values [keys, H, D].
Attended attention(const at::Tensor& scores, const at::Tensor& values) {
  return {at::einsum("qhk,khd->qhd", {at::softmax(scores, -1), values}), at::logsumexp(scores, -1)};
}

TEST(BranchUnion, IsOneSoftmaxOverAllKeys) {
  const at::Tensor scores = random({4, 2, 7}, 1), values = random({7, 2, 3}, 2);
  const Attended a = attention(scores.slice(2, 0, 3), values.slice(0, 0, 3)),
                 b = attention(scores.slice(2, 3), values.slice(0, 3)), all = attention(scores, values);
  const Attended merged = branch_union({a.output, b.output}, {a.lse, b.lse});
  EXPECT_TRUE(close(merged.output, all.output, 1e-13));
  EXPECT_TRUE(close(merged.lse, all.lse, 1e-13));
}

TEST(BranchUnion, ABranchWithoutKeysAddsNothing) {
  const Attended a = attention(random({4, 2, 3}, 1), random({3, 2, 3}, 2));
  const at::Tensor none = at::full_like(a.lse, -INFINITY), zero = at::zeros_like(a.output);
  EXPECT_TRUE(at::equal(branch_union({a.output, zero}, {a.lse, none}).output, a.output));
  const Attended nothing = branch_union({zero, zero}, {none, none});
  EXPECT_TRUE(at::equal(nothing.output, zero));
  EXPECT_TRUE(at::equal(nothing.lse, none));
}

TEST(BranchUnion, GateGradientIsThatOfAutograd) {
  const Attended a = attention(random({4, 2, 3}, 1), random({3, 2, 3}, 2)),
                 b = attention(random({4, 2, 5}, 3), random({5, 2, 3}, 4));
  const at::Tensor gate = random({4}, 5).abs().requires_grad_(), grad = random({4, 2, 3}, 6);
  const Attended merged = branch_union({a.output, b.output}, {a.lse, gated_lse(b.lse, gate)});
  const at::Tensor expected = torch::autograd::grad({merged.output}, {gate}, {grad})[0];
  EXPECT_TRUE(close(union_gate_gradient(grad, b, merged), expected, 1e-13));
  EXPECT_TRUE(close(ungated_lse(gated_lse(b.lse, gate), gate), b.lse, 1e-13));
}

}  // namespace
}  // namespace moga::test
