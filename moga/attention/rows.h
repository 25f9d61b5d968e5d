// Rows of tensors in and out of group order, with the gradients of both: what lies between attend and its backends.
// Private to the folder.
#pragma once

#include "moga/attention/grouping.h"

namespace moga {

// [N, …] → [n, …], rows in group order
at::Tensor gather_rows(const at::Tensor& x, const Rows& rows);

// [n, …] in group order → [total, …]; rows in no group hold `fill`
at::Tensor scatter_rows(const at::Tensor& x, const Rows& rows, int64_t total, double fill = 0);

// The gradient of gather_rows: like scatter_rows, but a row that was in several groups sums theirs, in float32.
at::Tensor accumulate_rows(const at::Tensor& x, const Rows& rows, int64_t total);

}  // namespace moga
