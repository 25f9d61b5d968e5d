// Rows of tensors into group order and back, with the gradients of both. Used between attend and its backends.
//
//   gather  y[i] = x[index[i]]     scatter  y[index[i]] = x[i]     accumulate  y[index[i]] += x[i]
//
// No autograd. Private to the folder.
#pragma once

#include "moga/attention/grouping.h"

namespace moga {

// [N, …] → [n, …], rows in group order
at::Tensor gather_rows(const at::Tensor& x, const Rows& rows);

// [n, …] in group order → [total, …]; rows in no group hold `fill`
at::Tensor scatter_rows(const at::Tensor& x, const Rows& rows, int64_t total, double fill = 0);

// The gradient of gather_rows: like scatter_rows, but a row that was in several groups accumulates them in float32.
at::Tensor accumulate_rows(const at::Tensor& x, const Rows& rows, int64_t total);

// The gradient of gathers from one tensor by several branches: parts[b] [n_b, …] in the group order of rows[b] → their
// sum [total, …]. On CUDA in bfloat16 it is one pass.
at::Tensor sum_rows(const std::vector<at::Tensor>& parts, const std::vector<Rows>& rows, int64_t total);

}  // namespace moga
