// The row order of a routing, computed on the device that holds it:
//
//   token n of video b  →  number b·M + g(n);  index = stable sort of the numbers, offsets = where each number begins
//
// On CUDA up to kMaxSortGroups numbers are sorted by our counting sort (kernels/group_sort.h); otherwise ATen's sort is
// used. Neither waits for the device.
#pragma once

#include <ATen/core/Tensor.h>

#include "moga/attention/layout.h"

namespace moga {

struct GroupOrder {
  at::Tensor index;    // [N] int64: tokens of group 0 in ascending order, of group 1, …
  at::Tensor offsets;  // [B·M + 1] int32
  at::Tensor places;   // [N] int32: token n is index[places[n]]; undefined where ATen's sort is used
};

// group [N] int64 in [0, groups), which is not checked. The layout has N tokens, fewer than 2³¹.
GroupOrder order_by_group(const Layout& layout, const at::Tensor& group, int64_t groups);

}  // namespace moga
