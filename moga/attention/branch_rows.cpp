// See branch_rows.h.
#include "moga/attention/branch_rows.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/attention/combine.h"
#include "moga/attention/row_kernels.h"
#include "moga/attention/rows.h"

namespace moga {
namespace {

at::ScalarType wide(const at::Tensor& x) { return c10::promoteTypes(x.scalar_type(), at::kFloat); }

bool all_served(at::TensorList tensors) {
  return tensors.size() <= kMaxBranches && std::ranges::all_of(tensors, row_kernels_serve);
}

bool all_placed(const std::vector<Rows>& rows, int64_t total) {
  return std::ranges::all_of(rows, [&](const Rows& r) { return places_known(r, total); });
}

}  // namespace

at::Tensor mean_of_branches(const std::vector<at::Tensor>& branches, const std::vector<Rows>& rows,
                            const at::Tensor& gate, int64_t total) {
  if (all_served(branches) && all_placed(rows, total)) return branch_mean_cuda(branches, rows, gate);
  std::vector<at::Tensor> outputs;
  for (size_t b = 0; b < branches.size(); ++b) outputs.push_back(scatter_rows(branches[b], rows[b], total));
  return combine_mean(outputs, gate);
}

MeanGradients mean_of_branches_backward(const at::Tensor& dy, const at::Tensor& gated, const std::vector<Rows>& rows,
                                        const at::Tensor& gate) {
  MeanGradients result;
  if (rows.size() <= kMaxBranches && all_served({dy, gated}) && all_placed(rows, dy.size(0))) {
    std::tie(result.branches, result.gate) = branch_mean_backward_cuda(dy, gated, rows, gate);
    return result;
  }
  const at::Tensor share = dy / static_cast<double>(rows.size());
  for (const Rows& r : rows) result.branches.push_back(gather_rows(share, r).contiguous());
  if (!gate.defined()) return result;
  const at::Tensor weights = gate.to(wide(dy)).view({-1, 1, 1});
  result.branches.back() = gather_rows((share * weights).to(dy.scalar_type()), rows.back()).contiguous();
  result.gate = (share.to(wide(dy)) * scatter_rows(gated, rows.back(), dy.size(0))).sum({1, 2});
  return result;
}

at::Tensor sum_of_branches(const std::vector<at::Tensor>& parts, const std::vector<Rows>& rows, int64_t total) {
  const auto placed = [&](const Rows& r) { return places_known(r, total) || (r.repeated && r.sources.defined()); };
  if (all_served(parts) && std::ranges::all_of(rows, placed)) return sum_rows_cuda(parts, rows, total);
  at::Tensor sum = accumulate_rows(parts[0], rows[0], total);
  for (size_t b = 1; b < parts.size(); ++b) sum = sum + accumulate_rows(parts[b], rows[b], total);
  return sum;
}

}  // namespace moga
