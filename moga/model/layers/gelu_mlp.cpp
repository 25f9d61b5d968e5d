// See gelu_mlp.h.
#include "moga/model/layers/gelu_mlp.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/graph_task.h>

#include "moga/attention/kernel_tensors.h"
#include "moga/core/check.h"
#include "moga/model/layers/norm_cuda.h"

#ifdef MOGA_CUDA
#include <c10/core/DeviceGuard.h>

#include "moga/core/cuda_stream.h"
#include "moga/kernels/gelu_gradient.h"
#include "moga/kernels/gelu_product.h"

namespace moga {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Hidden {
  at::Tensor pre, value;  // [N, hidden]
};

Hidden hidden_of(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const c10::DeviceGuard guard(x.device());
  Hidden hidden = {at::empty({x.size(0), weight.size(0)}, x.options()), {}};
  hidden.value = at::empty_like(hidden.pre);
  at::Tensor workspace = at::empty({static_cast<int64_t>(kernels::kProductWorkspace)}, x.options().dtype(at::kByte));
  kernels::gelu_product({.x = kernel_read(x),
                         .weight = kernel_read(weight),
                         .bias = kernel_read(bias),
                         .pre = kernel_write(hidden.pre),
                         .y = kernel_write(hidden.value),
                         .rows = x.size(0),
                         .in = x.size(1),
                         .hidden = weight.size(0),
                         .workspace = workspace.mutable_data_ptr(),
                         .stream = current_cuda_stream(x.device())});
  return hidden;
}

// The gradient of hidden [N, hidden] becomes that of pre, in place. Returns db₁ [hidden] float32.
at::Tensor differentiate_gelu(at::Tensor& gradient, const at::Tensor& pre) {
  const c10::DeviceGuard guard(pre.device());
  const int64_t rows = pre.size(0);
  const auto hidden = static_cast<int32_t>(pre.size(1));
  const auto floats = pre.options().dtype(at::kFloat);
  at::Tensor dbias = at::empty({hidden}, floats);
  at::Tensor partial = at::empty({static_cast<int64_t>(kernels::gelu_gradient_partial(rows, hidden))}, floats);
  kernels::gelu_gradient({.dy = kernel_read(gradient),
                          .pre = kernel_read(pre),
                          .dpre = kernel_write(gradient),
                          .dbias = dbias.mutable_data_ptr<float>(),
                          .partial = partial.mutable_data_ptr<float>(),
                          .rows = rows,
                          .hidden = hidden,
                          .stream = current_cuda_stream(pre.device())});
  return dbias;
}

// Takes a tensor out of the context, which lets it go unless the graph is kept for another backward.
at::Tensor take(AutogradContext* context, const std::string& name) {
  const at::Tensor tensor = context->saved_data.at(name).toTensor();
  if (!torch::autograd::get_current_graph_task_keep_graph()) context->saved_data.erase(name);
  return tensor;
}

struct GeluMlp : torch::autograd::Function<GeluMlp> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& w1, const at::Tensor& b1,
                            const at::Tensor& w2, const at::Tensor& b2) {
    const at::ScalarType dtype = x.scalar_type();
    const Hidden hidden = hidden_of(x, w1.to(dtype).contiguous(), b1.to(dtype));
    context->save_for_backward({x, w1, b1, w2, b2});
    context->saved_data["pre"] = hidden.pre;
    context->saved_data["hidden"] = hidden.value;
    return at::linear(hidden.value, w2.to(dtype), b2.to(dtype));
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto kept = context->get_saved_variables();
    const at::Tensor &x = kept[0], &w1 = kept[1], &b1 = kept[2], &w2 = kept[3], &b2 = kept[4];
    const at::Tensor dy = gradients[0].contiguous();
    const at::Tensor dw2 = dy.t().mm(take(context, "hidden")).to(w2.scalar_type());
    const at::Tensor db2 = (row_kernels_serve(dy) ? column_sum_cuda(dy) : dy.sum(0)).to(b2.scalar_type());
    at::Tensor dpre = dy.mm(w2.to(dy.scalar_type()));  // of hidden until the next line
    const at::Tensor db1 = differentiate_gelu(dpre, take(context, "pre"));
    at::Tensor dx;
    if (context->needs_input_grad(0)) dx = dpre.mm(w1.to(dy.scalar_type()));
    return {dx, dpre.t().mm(x).to(w1.scalar_type()), db1.to(b1.scalar_type()), dw2, db2};
  }
};

bool whole_vectors(const at::Tensor& x) { return x.numel() > 0 && x.size(-1) % 8 == 0; }

}  // namespace

bool gelu_mlp_serves(const at::Tensor& x, const at::Tensor& w1, const at::Tensor& w2) {
  return x.is_cuda() && x.scalar_type() == at::kBFloat16 && x.dim() == 2 && whole_vectors(x) && whole_vectors(w2) &&
         w2.size(0) % 8 == 0 && w1.size(0) == w2.size(1);
}

at::Tensor gelu_mlp(const at::Tensor& x, const at::Tensor& w1, const at::Tensor& b1, const at::Tensor& w2,
                    const at::Tensor& b2) {
  check(w1.size(1) == x.size(1) && b1.size(0) == w1.size(0), "mlp: x ", x.sizes(), " does not fit weight ", w1.sizes(),
        " and bias ", b1.sizes());
  check(w1.device() == x.device() && b1.device() == x.device(), "mlp: x is on ", x.device(), ", weight on ",
        w1.device(), ", bias on ", b1.device());
  return GeluMlp::apply(x.contiguous(), w1, b1, w2, b2);
}

}  // namespace moga

#else

namespace moga {

bool gelu_mlp_serves(const at::Tensor&, const at::Tensor&, const at::Tensor&) { return false; }
at::Tensor gelu_mlp(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&) {
  kernels_not_compiled();
}

}  // namespace moga

#endif
