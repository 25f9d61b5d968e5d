// See linear.h.
#include "moga/model/linear.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/init.h>

#include <algorithm>

#include "moga/model/norm_cuda.h"

namespace moga {
namespace {

// linear in bfloat16 on CUDA with the bias's gradient by our column sum: ATen's reduction over rows takes as long as
// the product itself. Weights are cast again in the backward rather than kept twice.
struct TrainedLinear : torch::autograd::Function<TrainedLinear> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias) {
    context->save_for_backward({x, weight});
    context->saved_data["bias"] = bias.scalar_type();
    return at::linear(x, weight.to(x.scalar_type()), bias.to(x.scalar_type()));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1];
    const at::Tensor dy = gradients[0].reshape({-1, gradients[0].size(-1)}).contiguous();
    at::Tensor dx, dweight, dbias;
    if (context->needs_input_grad(0)) dx = dy.mm(weight.to(dy.scalar_type())).view(x.sizes());
    if (context->needs_input_grad(1)) dweight = dy.t().mm(x.reshape({-1, x.size(-1)})).to(weight.scalar_type());
    if (context->needs_input_grad(2)) {
      const at::Tensor sum = row_kernels_serve(dy) ? column_sum_cuda(dy) : dy.sum(0);
      dbias = sum.to(context->saved_data["bias"].toScalarType());
    }
    return {dx, dweight, dbias};
  }
};

// GELU in the product's epilogue (cuBLASLt's is the tanh form): the widest tensor of a block is written once and not
// read and written again. Training needs the input of GELU as well, which this does not leave behind.
at::Tensor linear_gelu(const at::Tensor& x, const Linear& product) {
  return at::_addmm_activation(product->bias.to(x.scalar_type()), x, product->weight.to(x.scalar_type()).t(), 1, 1,
                               /*use_gelu=*/true);
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (x.is_cuda() && x.scalar_type() == at::kBFloat16 && at::GradMode::is_enabled() && bias.requires_grad())
    return TrainedLinear::apply(x, weight, bias);
  return at::linear(x, weight.to(x.scalar_type()), bias.to(x.scalar_type()));
}

LinearImpl::LinearImpl(int64_t in, int64_t out)
    : weight(register_parameter("weight", at::empty({out, in}))), bias(register_parameter("bias", at::empty({out}))) {}

void LinearImpl::fill_xavier() {
  torch::nn::init::xavier_uniform_(weight);
  torch::nn::init::zeros_(bias);
}

void LinearImpl::fill_normal(double deviation) {
  torch::nn::init::normal_(weight, 0.0, deviation);
  torch::nn::init::zeros_(bias);
}

MlpImpl::MlpImpl(int64_t in, int64_t hidden, int64_t out, Activation activation)
    : first(register_module("0", Linear(in, hidden))),
      second(register_module("2", Linear(hidden, out))),
      activation_(activation) {}

at::Tensor MlpImpl::forward(const at::Tensor& x) {
  if (!at::GradMode::is_enabled() && x.dim() == 2) {
    const int64_t row_bytes = first->weight.size(0) * static_cast<int64_t>(x.element_size());
    const int64_t rows = std::max<int64_t>(1, hidden_bytes / row_bytes);
    if (x.size(0) > rows) return in_chunks(x, rows);
  }
  return second(hidden(x));
}

at::Tensor MlpImpl::hidden(const at::Tensor& x) {
  if (activation_ == Activation::kGeluTanh && x.is_cuda() && x.dim() == 2 && !at::GradMode::is_enabled())
    return linear_gelu(x, first);
  const at::Tensor product = first(x);
  return activation_ == Activation::kSilu ? at::silu(product) : at::gelu(product, "tanh");
}

at::Tensor MlpImpl::in_chunks(const at::Tensor& x, int64_t rows) {
  const at::Tensor weight = second->weight.to(x.scalar_type()).t(), bias = second->bias.to(x.scalar_type());
  at::Tensor y = at::empty({x.size(0), weight.size(1)}, x.options());
  for (int64_t begin = 0; begin < x.size(0); begin += rows) {
    const int64_t end = std::min(begin + rows, x.size(0));
    at::Tensor chunk = y.slice(0, begin, end);
    at::addmm_out(chunk, bias, hidden(x.slice(0, begin, end)), weight);
  }
  return y;
}

}  // namespace moga
