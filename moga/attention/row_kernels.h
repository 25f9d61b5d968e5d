// Rows of tensors through our CUDA kernels (moga/kernels/row_move.h, branch_mean.h): allocates, fills in the kernel's
// arguments and launches. Callers have asked row_kernels_serve (branch_kernels_serve) first and have checked shapes.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>
#include <vector>

#include "moga/attention/grouping.h"
#include "moga/kernels/branch_mean.h"
#include "moga/kernels/row_move.h"

namespace moga {

// Whether the kernels accept x [rows, …]: compiled in, CUDA, contiguous bfloat16, rows of 8, 16, … 8192 elements.
bool row_kernels_serve(const at::Tensor& x);

// [N, …] → [n, …], rows in group order: row i is x[rows.index[i]].
at::Tensor gather_rows_cuda(const at::Tensor& x, const Rows& rows);

// [n, …] → [total, …] by rows.index, which names each row at most once; rows it does not name are zero.
at::Tensor scatter_rows_cuda(const at::Tensor& x, const Rows& rows, int64_t total);

// Branches that one launch can read.
inline constexpr size_t kMaxBranches = kernels::kMaxBranches;
static_assert(kernels::kMaxParts == kernels::kMaxBranches, "sum_rows serves as many branches as branch_mean");

// Whether the functions below accept these tensors, one per branch.
bool branch_kernels_serve(at::TensorList tensors);

// Whether rows names each of the rows 0 … total − 1 once, and the kernels can find its place.
bool places_known(const Rows& rows, int64_t total);
bool places_known(const std::vector<Rows>& rows, int64_t total);  // of all

// parts[b] [n_b, …] in the group order of rows[b] → [total, …]: the sum over all places of each row. Every rows[b] has
// known places or is repeated.
at::Tensor sum_rows_cuda(at::TensorList parts, const std::vector<Rows>& rows, int64_t total);

// Branches [N, …], each in the group order of its rows, whose places are known → their mean [N, …] in the order of the
// rows. gate [N] float32, or undefined, scales the last.
at::Tensor branch_mean_cuda(at::TensorList branches, const std::vector<Rows>& rows, const at::Tensor& gate);

// The gradients of the branches, in their orders, and of the gate, undefined without one; `gated` is the last branch.
std::pair<std::vector<at::Tensor>, at::Tensor> branch_mean_backward_cuda(const at::Tensor& dy, const at::Tensor& gated,
                                                                         const std::vector<Rows>& rows,
                                                                         const at::Tensor& gate);

}  // namespace moga
