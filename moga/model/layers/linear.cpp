// See linear.h.
#include "moga/model/layers/linear.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/init.h>

#include <algorithm>

#include "moga/model/layers/gelu_mlp.h"
#include "moga/model/layers/norm_cuda.h"

namespace moga {
namespace {

using torch::autograd::variable_list;

// Products of one x in bfloat16 on CUDA, with the biases' gradients by our column sum: ATen's reduction over rows takes
// as long as the product itself. Weights are cast again in the backward rather than kept twice.
struct TrainedLinears : torch::autograd::Function<TrainedLinears> {
  // parameters: weight, bias of the first product, of the second, …
  static variable_list forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                               at::TensorList parameters) {
    variable_list kept = {x}, results;
    kept.insert(kept.end(), parameters.begin(), parameters.end());
    context->save_for_backward(kept);
    const at::ScalarType dtype = x.scalar_type();
    for (size_t i = 0; i < parameters.size(); i += 2)
      results.push_back(at::linear(x, parameters[i].to(dtype), parameters[i + 1].to(dtype)));
    return results;
  }

  static variable_list backward(torch::autograd::AutogradContext* context, const variable_list& gradients) {
    const auto kept = context->get_saved_variables();
    const at::Tensor x = kept[0].reshape({-1, kept[0].size(-1)});
    variable_list result(kept.size());  // of x, then of the parameters
    at::Tensor& dx = result[0];
    for (size_t i = 1; i < kept.size(); i += 2) {
      const at::Tensor &weight = kept[i], &bias = kept[i + 1], &dy_ = gradients[i / 2];
      const at::Tensor dy = dy_.reshape({-1, dy_.size(-1)}).contiguous(), cast = weight.to(dy.scalar_type());
      if (context->needs_input_grad(0)) dx = dx.defined() ? dx.addmm_(dy, cast) : dy.mm(cast);
      if (context->needs_input_grad(i)) result[i] = dy.t().mm(x).to(weight.scalar_type());
      if (context->needs_input_grad(i + 1)) result[i + 1] = sum_of_rows(dy).to(bias.scalar_type());
    }
    if (dx.defined()) dx = dx.view(kept[0].sizes());
    return result;
  }

  static at::Tensor sum_of_rows(const at::Tensor& dy) {
    return row_kernels_serve(dy) ? column_sum_cuda(dy) : dy.sum(0);
  }
};

bool trained_on_cuda(const at::Tensor& x, const at::Tensor& bias) {
  return x.is_cuda() && x.scalar_type() == at::kBFloat16 && at::GradMode::is_enabled() && bias.requires_grad();
}

// GELU in the product's epilogue (cuBLASLt's is the tanh form): the widest tensor of a block is written once and not
// read and written again. Training needs the input of GELU as well, which this does not leave behind.
at::Tensor linear_gelu(const at::Tensor& x, const Linear& product) {
  return at::_addmm_activation(product->bias.to(x.scalar_type()), x, product->weight.to(x.scalar_type()).t(), 1, 1,
                               /*use_gelu=*/true);
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (trained_on_cuda(x, bias)) return TrainedLinears::apply(x, at::TensorList{weight, bias})[0];
  return at::linear(x, weight.to(x.scalar_type()), bias.to(x.scalar_type()));
}

LinearImpl::LinearImpl(int64_t in, int64_t out)
    : weight(register_parameter("weight", at::empty({out, in}))), bias(register_parameter("bias", at::empty({out}))) {}

std::vector<at::Tensor> linears(const at::Tensor& x, const std::vector<Linear>& products) {
  std::vector<at::Tensor> parameters, results;
  bool trained = true;
  for (const Linear& product : products) {
    parameters.insert(parameters.end(), {product->weight, product->bias});
    trained = trained && trained_on_cuda(x, product->bias);
  }
  if (trained) return TrainedLinears::apply(x, at::TensorList(parameters));
  for (const Linear& product : products) results.push_back(linear(x, product->weight, product->bias));
  return results;
}

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
  const bool trained = at::GradMode::is_enabled() && first->weight.requires_grad();
  if (trained && activation_ == Activation::kGeluTanh && gelu_mlp_serves(x, first->weight, second->weight))
    return gelu_mlp(x, first->weight, first->bias, second->weight, second->bias);
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
