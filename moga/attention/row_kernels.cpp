// See row_kernels.h.
#include "moga/attention/row_kernels.h"

#include <ATen/ATen.h>

#include "moga/attention/kernel_tensors.h"

#ifdef MOGA_CUDA
#include <c10/core/DeviceGuard.h>
#include <torch/csrc/autograd/custom_function.h>

#include "moga/core/cuda_stream.h"
#include "moga/kernels/branch_mean.h"
#include "moga/kernels/row_move.h"

namespace moga {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

kernels::RowShape shape_of(const at::Tensor& x) {
  return {1, x.size(0), static_cast<int32_t>(x.numel() / x.size(0))};
}

at::Tensor rows_like(const at::Tensor& x, int64_t total, bool zero) {
  auto shape = x.sizes().vec();
  shape[0] = total;
  return zero ? at::zeros(shape, x.options()) : at::empty(shape, x.options());
}

// The gated branch first.
struct BranchMean : torch::autograd::Function<BranchMean> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gated,
                            const std::optional<at::Tensor>& second, const std::optional<at::Tensor>& third,
                            const at::Tensor& gate) {
    const c10::DeviceGuard guard(gated.device());
    at::Tensor y = at::empty_like(gated);
    kernels::BranchMean work = {
        .gate = gate.const_data_ptr<float>(), .y = kernel_write(y), .shape = shape_of(gated),
        .stream = current_cuda_stream(gated.device())};
    work.branch[work.branches++] = kernel_read(gated);
    for (const auto* branch : {&second, &third})
      if (*branch) work.branch[work.branches++] = kernel_read(**branch);
    kernels::branch_mean(work);
    context->save_for_backward({gated, gate});
    context->saved_data["branches"] = static_cast<int64_t>(work.branches);
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &gated = saved[0], &gate = saved[1];
    const c10::DeviceGuard guard(gated.device());
    const int64_t branches = context->saved_data["branches"].toInt();
    const at::Tensor dy = gradients[0].contiguous();
    at::Tensor dgated = at::empty_like(gated), dgate = at::empty_like(gate), drest;
    if (branches > 1) drest = at::empty_like(gated);
    kernels::branch_mean_backward({.dy = kernel_read(dy),
                                   .gated = kernel_read(gated),
                                   .gate = gate.const_data_ptr<float>(),
                                   .dgated = kernel_write(dgated),
                                   .drest = kernel_write(drest),
                                   .dgate = dgate.mutable_data_ptr<float>(),
                                   .branches = static_cast<int32_t>(branches),
                                   .shape = shape_of(gated),
                                   .stream = current_cuda_stream(gated.device())});
    return {dgated, drest, branches > 2 ? drest : at::Tensor(), dgate};
  }
};

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

at::Tensor sum_rows_cuda(const at::Tensor& x, const Rows& rows, int64_t total) {
  const c10::DeviceGuard guard(x.device());
  at::Tensor out = rows_like(x, total, false);
  kernels::sum_rows({.x = kernel_read(x),
                     .begin = rows.source_offsets.const_data_ptr<int32_t>(),
                     .source = rows.sources.const_data_ptr<int32_t>(),
                     .listed = rows.source_offsets.size(0) - 1,
                     .out = kernel_write(out),
                     .shape = shape_of(out),
                     .stream = current_cuda_stream(x.device())});
  return out;
}

at::Tensor branch_mean_cuda(at::TensorList branches, const at::Tensor& gate) {
  const at::Tensor& gated = branches.back();
  const at::Tensor weights = gate.defined() ? gate.to(at::kFloat).contiguous()
                                            : at::ones({gated.size(0)}, gated.options().dtype(at::kFloat));
  const auto branch = [&](size_t i) { return i + 1 < branches.size() ? std::optional(branches[i]) : std::nullopt; };
  return BranchMean::apply(gated, branch(0), branch(1), weights);
}

}  // namespace moga

#else

namespace moga {

bool row_kernels_serve(const at::Tensor&) { return false; }
at::Tensor gather_rows_cuda(const at::Tensor&, const Rows&) { kernels_not_compiled(); }
at::Tensor scatter_rows_cuda(const at::Tensor&, const Rows&, int64_t) { kernels_not_compiled(); }
at::Tensor sum_rows_cuda(const at::Tensor&, const Rows&, int64_t) { kernels_not_compiled(); }
at::Tensor branch_mean_cuda(at::TensorList, const at::Tensor&) { kernels_not_compiled(); }

}  // namespace moga

#endif
