// What a backend is given: rows in group order, whatever order and stride the caller's tensors have.
#include "moga/attention/group_attention.h"

#include <torch/types.h>

#include "tests/attention/cases.h"

namespace moga::test {
namespace {

// A backend that returns what it was given.
const Backend kEcho{
    "nothing", [](const at::Tensor&) { return true; },
    [](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Grouping&) {
      return GroupedAttention{q, k, {v}};
    },
    [](const at::Tensor& grad, const at::Tensor& q, const at::Tensor& k, const at::Tensor&, const at::Tensor&,
       const at::Tensor&, const std::vector<at::Tensor>&, const Grouping&) -> std::array<at::Tensor, 3> {
      return {grad, q, k};
    }};

TEST(GroupAttention, GathersRowsBothWays) {
  const Rows query = make_rows({2, 3}, {4, 0, 3, 1, 2}, at::kCPU), key = make_rows({2, 2}, {1, 5, 5, 0}, at::kCPU);
  const Projections x = {at::randn({5, 2, 4}), at::randn({6, 2, 4}), at::randn({6, 2, 4})};
  const GroupedAttention forward = attend_groups(kEcho, x, {query, key});
  EXPECT_TRUE(at::equal(forward.output, x.q.index_select(0, query.index)));
  EXPECT_TRUE(at::equal(forward.lse, x.k.index_select(0, key.index)));
  EXPECT_TRUE(at::equal(forward.saved[0], x.v.index_select(0, key.index)));
  const at::Tensor grad = at::randn({5, 2, 4});
  const auto backward = attend_groups_backward(kEcho, x, {grad, {}, {}, {}}, {query, key});
  EXPECT_TRUE(at::equal(backward[0], grad));  // already in group order
  EXPECT_TRUE(at::equal(backward[1], forward.output));
  EXPECT_TRUE(at::equal(backward[2], forward.lse));
}

}  // namespace
}  // namespace moga::test
