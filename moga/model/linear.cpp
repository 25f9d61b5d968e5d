// See linear.h.
#include "moga/model/linear.h"

#include <torch/nn/init.h>

namespace moga {

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
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
  const at::Tensor hidden = first(x);
  return second(activation_ == Activation::kSilu ? at::silu(hidden) : at::gelu(hidden, "tanh"));
}

}  // namespace moga
