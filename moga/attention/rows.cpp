// Our CUDA kernels where they serve the tensor (row_kernels.h), ATen elsewhere. Identity costs nothing. See rows.h.
#include "moga/attention/rows.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/attention/row_kernels.h"

namespace moga {

at::Tensor gather_rows(const at::Tensor& x, const Rows& rows) {
  if (!rows.index.defined()) return x.narrow(0, 0, rows.count);
  return row_kernels_serve(x) ? gather_rows_cuda(x, rows) : x.index_select(0, rows.index);
}

at::Tensor scatter_rows(const at::Tensor& x, const Rows& rows, int64_t total, double fill) {
  if (!rows.index.defined() && rows.count == total) return x;
  if (rows.index.defined() && fill == 0 && row_kernels_serve(x)) return scatter_rows_cuda(x, rows, total);
  auto shape = x.sizes().vec();
  shape[0] = total;
  at::Tensor result = rows.count == total ? at::empty(shape, x.options()) : at::full(shape, fill, x.options());
  if (rows.index.defined()) return result.index_copy_(0, rows.index, x);
  result.narrow(0, 0, rows.count).copy_(x);
  return result;
}

at::Tensor accumulate_rows(const at::Tensor& x, const Rows& rows, int64_t total) {
  if (!rows.repeated) return scatter_rows(x, rows, total);
  if (rows.sources.defined() && row_kernels_serve(x)) return sum_rows_cuda(x, {rows}, total);
  auto shape = x.sizes().vec();
  shape[0] = total;
  const auto wide = c10::promoteTypes(x.scalar_type(), at::kFloat);
  return at::zeros(shape, x.options().dtype(wide)).index_add_(0, rows.index, x.to(wide)).to(x.scalar_type());
}

at::Tensor sum_rows(const std::vector<at::Tensor>& parts, const std::vector<Rows>& rows, int64_t total) {
  const auto placed = [&](const Rows& r) { return places_known(r, total) || (r.repeated && r.sources.defined()); };
  if (branch_kernels_serve(parts) && std::ranges::all_of(rows, placed)) return sum_rows_cuda(parts, rows, total);
  at::Tensor sum = accumulate_rows(parts[0], rows[0], total);
  for (size_t b = 1; b < parts.size(); ++b) sum = sum + accumulate_rows(parts[b], rows[b], total);
  return sum;
}

}  // namespace moga
