// Rows of tensors through our CUDA kernels (moga/kernels/rows.h): the seam between tensors and plain pointers. A
// function here allocates, fills in and launches; callers ask row_kernels_serve first and have checked shapes.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>

#include "moga/attention/grouping.h"

namespace moga {

// Whether the kernels take x [rows, …]: compiled in, CUDA, contiguous bfloat16, a row of 8, 16, … 8192 elements.
bool row_kernels_serve(const at::Tensor& x);

// [N, …] → [n, …], rows in group order: row i is x[rows.index[i]].
at::Tensor gather_rows_cuda(const at::Tensor& x, const Rows& rows);

// [n, …] → [total, …] by rows.index, which names each row at most once; rows it does not name are zero.
at::Tensor scatter_rows_cuda(const at::Tensor& x, const Rows& rows, int64_t total);

// [n, …] → [total, …]: the sum over the places where rows.sources names each row.
at::Tensor sum_rows_cuda(const at::Tensor& x, const Rows& rows, int64_t total);

// The mean of up to three branches [N, H, D]; gate [N] float32 scales the last, undefined: 1. Gradients for the
// branches and the gate.
at::Tensor branch_mean_cuda(at::TensorList branches, const at::Tensor& gate);

}  // namespace moga
