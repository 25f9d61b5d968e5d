// A counting sort on CUDA, ATen's stable sort elsewhere. See group_order.h.
#include "moga/attention/group_order.h"

#include <ATen/ATen.h>

#include <limits>

#include "moga/attention/kernel_tensors.h"
#include "moga/attention/segments.h"

#ifdef MOGA_CUDA
#include <c10/core/DeviceGuard.h>

#include "moga/core/cuda_stream.h"
#include "moga/kernels/group_sort.h"
#endif

namespace moga {
namespace {

// b·M + group, [N].
at::Tensor group_numbers(const Layout& layout, const at::Tensor& group, int64_t groups, at::ScalarType dtype) {
  at::Tensor numbers = group.to(dtype, /*non_blocking=*/false, /*copy=*/layout.videos.size() > 1);
  for (const Segment& run : video_segments(layout)) {
    if (run.end_vector() == 1) continue;  // video 0 alone
    const at::Tensor first = at::arange(run.first_vector, run.end_vector(), numbers.options()).mul_(groups);
    numbers.narrow(0, run.first_row, run.vectors * run.rows).view({run.vectors, run.rows}).add_(first.unsqueeze(1));
  }
  return numbers;
}

#ifdef MOGA_CUDA
bool kernel_serves(const at::Tensor& group, int64_t total) {
  return group.is_cuda() && total <= kernels::kMaxSortGroups;
}

GroupOrder count_on_device(const at::Tensor& numbers, int64_t total) {
  const c10::DeviceGuard guard(numbers.device());
  const int64_t tokens = numbers.size(0);
  const auto groups = static_cast<int32_t>(total);
  const auto int32 = numbers.options().dtype(at::kInt);
  const GroupOrder order = {at::empty_like(numbers), at::empty({total + 1}, int32), at::empty({tokens}, int32)};
  at::Tensor counts = at::empty({static_cast<int64_t>(kernels::group_sort_scratch(tokens, groups))}, int32);
  kernels::group_sort({.group = numbers.const_data_ptr<int64_t>(),
                       .order = order.index.mutable_data_ptr<int64_t>(),
                       .offsets = order.offsets.mutable_data_ptr<int32_t>(),
                       .place = order.places.mutable_data_ptr<int32_t>(),
                       .counts = counts.mutable_data_ptr<int32_t>(),
                       .tokens = tokens,
                       .groups = groups,
                       .stream = current_cuda_stream(numbers.device())});
  return order;
}
#else
bool kernel_serves(const at::Tensor&, int64_t) { return false; }
GroupOrder count_on_device(const at::Tensor&, int64_t) { kernels_not_compiled(); }
#endif

GroupOrder sort_by_aten(const at::Tensor& numbers, int64_t total) {
  const auto [sorted, index] = at::sort(numbers, /*stable=*/true, /*dim=*/0, /*descending=*/false);
  return {index, at::searchsorted(sorted, at::arange(total + 1, sorted.options()), /*out_int32=*/true), {}};
}

}  // namespace

GroupOrder order_by_group(const Layout& layout, const at::Tensor& group, int64_t groups) {
  const int64_t total = groups * static_cast<int64_t>(layout.videos.size());
  if (kernel_serves(group, total))
    return count_on_device(group_numbers(layout, group, groups, at::kLong).contiguous(), total);
  // The narrowest type that holds the numbers: the radix sort behind at::sort makes one pass per byte.
  const auto dtype = total < std::numeric_limits<int16_t>::max() ? at::kShort : at::kInt;
  return sort_by_aten(group_numbers(layout, group, groups, dtype), total);
}

}  // namespace moga
