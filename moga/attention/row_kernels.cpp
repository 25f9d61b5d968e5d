// Pointers, shapes and the current stream for the row kernels; without MOGA_CUDA, errors. See row_kernels.h.
#include "moga/attention/row_kernels.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/attention/kernel_tensors.h"

namespace moga {

bool branch_kernels_serve(at::TensorList tensors) {
  return tensors.size() <= kMaxBranches && std::ranges::all_of(tensors, row_kernels_serve);
}

bool places_known(const std::vector<Rows>& rows, int64_t total) {
  return std::ranges::all_of(rows, [&](const Rows& r) { return places_known(r, total); });
}

}  // namespace moga

#ifdef MOGA_CUDA
#include <c10/core/DeviceGuard.h>

#include "moga/core/cuda_stream.h"

namespace moga {
namespace {

kernels::RowShape shape_of(const at::Tensor& x) { return {1, x.size(0), static_cast<int32_t>(x.numel() / x.size(0))}; }

at::Tensor rows_like(const at::Tensor& x, int64_t total, bool zero) {
  auto shape = x.sizes().vec();
  shape[0] = total;
  return zero ? at::zeros(shape, x.options()) : at::empty(shape, x.options());
}

// int32, null: identity
const int32_t* read_places(const at::Tensor& x) { return x.defined() ? x.const_data_ptr<int32_t>() : nullptr; }

}  // namespace

bool row_kernels_serve(const at::Tensor& x) {
  if (!x.is_cuda() || x.scalar_type() != at::kBFloat16 || !x.is_contiguous() || x.numel() == 0) return false;
  const int64_t columns = x.numel() / x.size(0);
  return columns % 8 == 0 && columns <= kernels::kMaxColumns;
}

at::Tensor gather_rows_cuda(const at::Tensor& x, const Rows& rows) {
  const c10::DeviceGuard guard(x.device());
  at::Tensor out = rows_like(x, rows.count, false);
  if (rows.count == 0) return out;
  kernels::gather_rows({.x = kernel_read(x),
                        .index = rows.index.const_data_ptr<int64_t>(),
                        .out = kernel_write(out),
                        .shape = shape_of(out),
                        .stream = current_cuda_stream(x.device())});
  return out;
}

at::Tensor scatter_rows_cuda(const at::Tensor& x, const Rows& rows, int64_t total) {
  const c10::DeviceGuard guard(x.device());
  at::Tensor out = rows_like(x, total, rows.count < total);
  kernels::scatter_rows({.x = kernel_read(x),
                         .index = rows.index.const_data_ptr<int64_t>(),
                         .out = kernel_write(out),
                         .shape = shape_of(x),
                         .stream = current_cuda_stream(x.device())});
  return out;
}

bool places_known(const Rows& rows, int64_t total) {
  return rows.count == total && !rows.repeated && rows.index.defined() == rows.sources.defined();
}

at::Tensor sum_rows_cuda(at::TensorList parts, const std::vector<Rows>& rows, int64_t total) {
  const c10::DeviceGuard guard(parts[0].device());
  at::Tensor out = rows_like(parts[0], total, false);
  kernels::SumRows work = {
      .out = kernel_write(out), .shape = shape_of(out), .stream = current_cuda_stream(out.device())};
  for (size_t b = 0; b < parts.size(); ++b) {
    const at::Tensor& begin = rows[b].source_offsets;
    work.part[work.parts++] = {kernel_read(parts[b]), read_places(rows[b].sources), read_places(begin),
                               begin.defined() ? begin.size(0) - 1 : total};
  }
  kernels::sum_rows(work);
  return out;
}

// The kernel's branch 0 is the gated one, here the last: branch b there is branch B − 1 − b here.
at::Tensor branch_mean_cuda(at::TensorList branches, const std::vector<Rows>& rows, const at::Tensor& gate_) {
  const c10::DeviceGuard guard(branches[0].device());
  const at::Tensor gate = gate_.defined() ? gate_.to(at::kFloat).contiguous() : gate_;
  at::Tensor y = at::empty_like(branches[0]);
  kernels::BranchMean work = {.gate = gate.defined() ? gate.const_data_ptr<float>() : nullptr,
                              .y = kernel_write(y),
                              .shape = shape_of(y),
                              .stream = current_cuda_stream(y.device())};
  for (size_t b = branches.size(); b-- > 0;) {
    work.place[work.branches] = read_places(rows[b].sources);
    work.branch[work.branches++] = kernel_read(branches[b]);
  }
  kernels::branch_mean(work);
  return y;
}

std::pair<std::vector<at::Tensor>, at::Tensor> branch_mean_backward_cuda(const at::Tensor& dy, const at::Tensor& gated,
                                                                         const std::vector<Rows>& rows,
                                                                         const at::Tensor& gate_) {
  const c10::DeviceGuard guard(dy.device());
  const at::Tensor gate = gate_.defined() ? gate_.to(at::kFloat).contiguous() : gate_;
  std::vector<at::Tensor> dbranches(rows.size());
  kernels::BranchMeanBackward work = {
      .dy = kernel_read(dy), .shape = shape_of(dy), .stream = current_cuda_stream(dy.device())};
  for (size_t b = rows.size(); b-- > 0;) {
    dbranches[b] = at::empty_like(dy);
    work.place[work.branches] = read_places(rows[b].sources);
    work.dbranch[work.branches++] = kernel_write(dbranches[b]);
  }
  at::Tensor dgate;
  if (gate.defined()) {
    dgate = at::empty_like(gate);
    work.gated = kernel_read(gated);
    work.gate = gate.const_data_ptr<float>();
    work.dgate = dgate.mutable_data_ptr<float>();
  }
  kernels::branch_mean_backward(work);
  return {dbranches, dgate};
}

}  // namespace moga

#else

namespace moga {

bool row_kernels_serve(const at::Tensor&) { return false; }
at::Tensor gather_rows_cuda(const at::Tensor&, const Rows&) { kernels_not_compiled(); }
at::Tensor scatter_rows_cuda(const at::Tensor&, const Rows&, int64_t) { kernels_not_compiled(); }
bool places_known(const Rows&, int64_t) { return false; }
at::Tensor sum_rows_cuda(at::TensorList, const std::vector<Rows>&, int64_t) { kernels_not_compiled(); }
at::Tensor branch_mean_cuda(at::TensorList, const std::vector<Rows>&, const at::Tensor&) { kernels_not_compiled(); }
std::pair<std::vector<at::Tensor>, at::Tensor> branch_mean_backward_cuda(const at::Tensor&, const at::Tensor&,
                                                                         const std::vector<Rows>&, const at::Tensor&) {
  kernels_not_compiled();
}

}  // namespace moga

#endif
