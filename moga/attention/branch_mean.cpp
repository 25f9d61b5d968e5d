// The kernel where it serves all branches, otherwise scatter, scale and add. See branch_mean.h.
#include "moga/attention/branch_mean.h"

#include <ATen/ATen.h>

#include "moga/attention/row_kernels.h"
#include "moga/attention/rows.h"
#include "moga/core/check.h"

namespace moga {
namespace {

at::ScalarType wide(const at::Tensor& x) { return c10::promoteTypes(x.scalar_type(), at::kFloat); }

}  // namespace

at::Tensor branch_mean(const std::vector<at::Tensor>& outputs, const std::vector<Rows>& rows, const at::Tensor& gate,
                       int64_t total) {
  if (branch_kernels_serve(outputs) && places_known(rows, total)) return branch_mean_cuda(outputs, rows, gate);
  std::vector<at::Tensor> in_token_order;
  for (size_t b = 0; b < outputs.size(); ++b) in_token_order.push_back(scatter_rows(outputs[b], rows[b], total));
  return plain_branch_mean(in_token_order, gate);
}

BranchMeanGradients branch_mean_backward(const at::Tensor& grad, const at::Tensor& gated, const std::vector<Rows>& rows,
                                         const at::Tensor& gate) {
  BranchMeanGradients result;
  if (rows.size() <= kMaxBranches && branch_kernels_serve({grad, gated}) && places_known(rows, grad.size(0))) {
    std::tie(result.branches, result.gate) = branch_mean_backward_cuda(grad, gated, rows, gate);
    return result;
  }
  const at::Tensor share = grad / static_cast<double>(rows.size());
  for (const Rows& r : rows) result.branches.push_back(gather_rows(share, r).contiguous());
  if (!gate.defined()) return result;
  const at::Tensor weights = gate.to(wide(grad)).view({-1, 1, 1});
  result.branches.back() = gather_rows((share * weights).to(grad.scalar_type()), rows.back()).contiguous();
  result.gate = (share.to(wide(grad)) * scatter_rows(gated, rows.back(), grad.size(0))).sum({1, 2});
  return result;
}

at::Tensor plain_branch_mean(at::TensorList outputs, const at::Tensor& gate) {
  check(!outputs.empty(), "branch mean: no branches");
  std::vector<at::Tensor> scaled = outputs.vec();
  if (gate.defined()) scaled.back() = scaled.back() * gate.view({-1, 1, 1});
  const at::ScalarType dtype = outputs[0].scalar_type();
  if (scaled.size() == 1) return scaled[0].to(dtype);
  at::Tensor sum = scaled[0].to(wide(scaled[0]));
  for (size_t i = 1; i < scaled.size(); ++i) sum = sum + scaled[i];
  return (sum / static_cast<double>(scaled.size())).to(dtype);
}

}  // namespace moga
