// See qk_norm.h.
#include "moga/model/layers/qk_norm.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/init.h>

#include "moga/core/check.h"
#include "moga/model/layers/norm_cuda.h"
#include "moga/model/layers/rope.h"

namespace moga {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Norm and rotation in one kernel per pass. Saves x alone, where separate operations would save x and its norm.
struct FusedQkNorm : torch::autograd::Function<FusedQkNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& rotary, double eps) {
    const at::Tensor table = rotary.value_or(at::Tensor());
    context->save_for_backward({x, weight, table});
    context->saved_data["eps"] = eps;
    return qk_norm_cuda(x, weight, table, eps);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto [dx, dweight] = qk_norm_backward_cuda(gradients[0].contiguous(), saved[0], saved[1], saved[2],
                                                     context->saved_data["eps"].toDouble());
    return {dx, dweight.to(saved[1].scalar_type()), {}, {}};
  }
};

}  // namespace

QkNormImpl::QkNormImpl(int64_t width, double eps)
    : weight(register_parameter("weight", at::empty({width}))), eps_(eps) {}

at::Tensor QkNormImpl::forward(const at::Tensor& x, const at::Tensor& rotary, int64_t heads) {
  check(x.dim() == 2 && x.size(1) == weight.size(0) && x.size(1) % heads == 0, "qk norm: x ", x.sizes(),
        ", expected [rows, ", weight.size(0), "], ", heads, " heads");
  const std::array<int64_t, 3> shape = {x.size(0), heads, x.size(1) / heads};
  if (row_kernels_serve(x) && shape[2] % 8 == 0) {
    const auto table = rotary.defined() ? std::optional(rotary) : std::nullopt;
    return FusedQkNorm::apply(x, weight, table, eps_).view(shape);
  }
  const at::Tensor normal = at::rms_norm(x, {x.size(1)}, weight.to(x.scalar_type()), eps_).view(shape);
  return rotary.defined() ? rotate(normal, rotary) : normal;
}

void QkNormImpl::initialise() { torch::nn::init::ones_(weight); }

}  // namespace moga
