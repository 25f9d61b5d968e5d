// The CUDA counting sort against ATen's stable sort: row order, offsets and the inverse order, for even, empty and
// single groups.
#include "moga/kernels/group_sort.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/gpu.h"

namespace moga {
namespace {

void expect_sorted(const at::Tensor& group, int32_t groups) {
  const auto on_device = [&](at::ScalarType type) { return at::TensorOptions().device(at::kCUDA).dtype(type); };
  const int64_t tokens = group.numel();
  const at::Tensor order = at::full({tokens}, -1, on_device(at::kLong));
  const at::Tensor offsets = at::full({groups + 1}, -1, on_device(at::kInt));
  const at::Tensor places = at::full({tokens}, -1, on_device(at::kInt));
  const at::Tensor counts =
      at::empty({static_cast<int64_t>(kernels::group_sort_scratch(tokens, groups))}, on_device(at::kInt));
  kernels::group_sort({group.const_data_ptr<int64_t>(), order.data_ptr<int64_t>(), offsets.data_ptr<int32_t>(),
                       places.data_ptr<int32_t>(), counts.data_ptr<int32_t>(), tokens, groups});
  synchronize(at::kCUDA);
  const at::Tensor host = group.cpu();
  EXPECT_TRUE(at::equal(order.cpu(), at::argsort(host, /*stable=*/true, /*dim=*/0, /*descending=*/false)));
  EXPECT_TRUE(at::equal(offsets.cpu().slice(0, 1).to(at::kLong), at::bincount(host, {}, groups).cumsum(0)));
  EXPECT_TRUE(at::equal(order.index_select(0, places), at::arange(tokens, order.options())));
  EXPECT_EQ(offsets[0].item<int>(), 0);
}

TEST(GroupSortGpu, AgreesWithStableSort) {
  MOGA_NEEDS_GPU();
  for (const auto& [tokens, groups] : {std::pair{1, 1}, {31, 3}, {512, 5}, {187200, 5}, {70001, 320}, {4097, 1024}})
    expect_sorted(at::randint(groups, {tokens}, at::TensorOptions().device(at::kCUDA).dtype(at::kLong)), groups);
}

TEST(GroupSortGpu, EmptyGroupsAndAllInOne) {
  MOGA_NEEDS_GPU();
  expect_sorted(at::full({66000}, 3, at::TensorOptions().device(at::kCUDA).dtype(at::kLong)), 7);
  expect_sorted(at::empty({0}, at::TensorOptions().device(at::kCUDA).dtype(at::kLong)), 4);
}

}  // namespace
}  // namespace moga
