// See gelu_mlp.h.
#include "moga/model/layers/gelu_mlp.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/graph_task.h>

#include <utility>

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

// What differentiate_gelu replaces: dhidden becomes dpre, pre becomes hidden, both [N, hidden].
struct Differentiated {
  at::Tensor dpre, hidden;
  at::Tensor dbias;  // [hidden] float32
};

// `hidden` may be `pre`.
Differentiated differentiate_gelu(at::Tensor dhidden, const at::Tensor& pre, at::Tensor hidden) {
  const c10::DeviceGuard guard(pre.device());
  const int64_t rows = pre.size(0);
  const auto width = static_cast<int32_t>(pre.size(1));
  const auto floats = pre.options().dtype(at::kFloat);
  const at::Tensor dbias = at::empty({width}, floats);
  at::Tensor partial = at::empty({static_cast<int64_t>(kernels::gelu_gradient_partial(rows, width))}, floats);
  kernels::gelu_gradient({.dy = kernel_read(dhidden),
                          .pre = kernel_read(pre),
                          .dpre = kernel_write(dhidden),
                          .y = kernel_write(hidden),
                          .dbias = dbias.mutable_data_ptr<float>(),
                          .partial = partial.mutable_data_ptr<float>(),
                          .rows = rows,
                          .hidden = width,
                          .stream = current_cuda_stream(pre.device())});
  return {dhidden, hidden, dbias};
}

struct LayerPair : torch::CustomClassHolder {
  LayerPair(Linear first, Linear second) : first(std::move(first)), second(std::move(second)) {}
  Linear first, second;
};

struct GeluMlp : torch::autograd::Function<GeluMlp> {
  // The layers' parameters are arguments so that gradients flow to them; their values are read through the layers.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& w1, const at::Tensor& b1,
                            const at::Tensor& w2, const at::Tensor& b2, const Linear& first, const Linear& second) {
    const at::ScalarType dtype = x.scalar_type();
    const Hidden hidden = hidden_of(x, first->weight_in(dtype).contiguous(), first->bias_in(dtype));
    context->save_for_backward({x, w1, b1, w2, b2});
    context->saved_data["pre"] = hidden.pre;
    context->saved_data["layers"] = c10::IValue::make_capsule(c10::make_intrusive<LayerPair>(first, second));
    return at::linear(hidden.value, second->weight_in(dtype), second->bias_in(dtype));
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &w1 = saved[1], &b1 = saved[2], &w2 = saved[3], &b2 = saved[4];
    const auto layers = c10::static_intrusive_pointer_cast<LayerPair>(context->saved_data["layers"].toCapsule());
    const at::Tensor dy = gradients[0].contiguous();
    const at::Tensor db2 = (row_kernels_serve(dy) ? column_sum_cuda(dy) : dy.sum(0)).to(b2.scalar_type());
    Differentiated gelu = differentiated(context, dy.mm(layers->second->weight_in(dy.scalar_type())));
    const at::Tensor dw2 = dy.t().mm(std::exchange(gelu.hidden, {})).to(w2.scalar_type());
    at::Tensor dx;
    if (context->needs_input_grad(0)) dx = gelu.dpre.mm(layers->first->weight_in(dy.scalar_type()));
    const at::Tensor dw1 = gelu.dpre.t().mm(x).to(w1.scalar_type());
    return {dx, dw1, gelu.dbias.to(b1.scalar_type()), dw2, db2, {}, {}};
  }

 private:
  // In place of what is saved, unless the graph is kept for another backward pass.
  static Differentiated differentiated(AutogradContext* context, at::Tensor dhidden) {
    const at::Tensor pre = context->saved_data.at("pre").toTensor();
    if (torch::autograd::get_current_graph_task_keep_graph())
      return differentiate_gelu(std::move(dhidden), pre, at::empty_like(pre));
    context->saved_data.erase("pre");
    return differentiate_gelu(std::move(dhidden), pre, pre);
  }
};

bool whole_vectors(const at::Tensor& x) { return x.numel() > 0 && x.size(-1) % 8 == 0; }

}  // namespace

bool gelu_mlp_serves(const at::Tensor& x, const Linear& first, const Linear& second) {
  return x.is_cuda() && x.scalar_type() == at::kBFloat16 && x.dim() == 2 && whole_vectors(x) && second->in() % 8 == 0 &&
         second->out() % 8 == 0 && first->out() == second->in();
}

at::Tensor gelu_mlp(const at::Tensor& x, const Linear& first, const Linear& second) {
  check(first->in() == x.size(1), "mlp: x ", x.sizes(), " does not fit weight ", first->weight.sizes());
  check(first->weight.device() == x.device() && first->bias.device() == x.device(), "mlp: x is on ", x.device(),
        ", weight on ", first->weight.device(), ", bias on ", first->bias.device());
  return GeluMlp::apply(x.contiguous(), first->weight, first->bias, second->weight, second->bias, first, second);
}

}  // namespace moga

#else

namespace moga {

bool gelu_mlp_serves(const at::Tensor&, const Linear&, const Linear&) { return false; }
at::Tensor gelu_mlp(const at::Tensor&, const Linear&, const Linear&) { kernels_not_compiled(); }

}  // namespace moga

#endif
