// See linear.h.
#include "moga/model/layers/linear.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/init.h>

#include <algorithm>

#include "moga/model/layers/gelu_mlp.h"
#include "moga/model/layers/norm_cuda.h"

namespace moga {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct LayerHolder : torch::CustomClassHolder {
  explicit LayerHolder(std::vector<Linear> value) : layers(std::move(value)) {}
  std::vector<Linear> layers;
};

// Products of one x in bfloat16 on CUDA, with the biases' gradients by our column sum: ATen's reduction over rows takes
// as long as the product itself. The backward pass asks the layers for their weights again instead of saving a cast.
struct TrainedLinears : torch::autograd::Function<TrainedLinears> {
  // parameters: weight and bias of each layer, the inputs that gradients flow to.
  static variable_list forward(AutogradContext* context, const at::Tensor& x, at::TensorList parameters,
                               const std::vector<Linear>& layers) {
    variable_list saved = {x}, results;
    saved.insert(saved.end(), parameters.begin(), parameters.end());
    context->save_for_backward(saved);
    context->saved_data["layers"] = c10::IValue::make_capsule(c10::make_intrusive<LayerHolder>(layers));
    const at::ScalarType dtype = x.scalar_type();
    for (const Linear& layer : layers) results.push_back(at::linear(x, layer->weight_in(dtype), layer->bias_in(dtype)));
    return results;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto holder = c10::static_intrusive_pointer_cast<LayerHolder>(context->saved_data["layers"].toCapsule());
    const at::Tensor x = saved[0].reshape({-1, saved[0].size(-1)});
    variable_list result(saved.size() + 1);  // of x, of the parameters, none of the layers
    at::Tensor& dx = result[0];
    for (size_t i = 0; i < holder->layers.size(); ++i) {
      const size_t of_weight = 1 + 2 * i, of_bias = of_weight + 1;
      const at::Tensor &weight = saved[of_weight], &bias = saved[of_bias];
      const at::Tensor dy = gradients[i].reshape({-1, gradients[i].size(-1)}).contiguous();
      if (context->needs_input_grad(0)) {
        const at::Tensor cast = holder->layers[i]->weight_in(dy.scalar_type());
        dx = dx.defined() ? dx.addmm_(dy, cast) : dy.mm(cast);
      }
      if (context->needs_input_grad(of_weight))
        result[of_weight] = dy.t().mm(x).to(weight.scalar_type()).view(weight.sizes());
      if (context->needs_input_grad(of_bias)) result[of_bias] = sum_of_rows(dy).to(bias.scalar_type());
    }
    if (dx.defined()) dx = dx.view(saved[0].sizes());
    return result;
  }

  static at::Tensor sum_of_rows(const at::Tensor& dy) {
    return row_kernels_serve(dy) ? column_sum_cuda(dy) : dy.sum(0);
  }
};

bool trained_on_cuda(const at::Tensor& x, const Linear& layer) {
  return x.is_cuda() && x.scalar_type() == at::kBFloat16 && at::GradMode::is_enabled() && layer->bias.requires_grad();
}

std::vector<at::Tensor> trained_linears(const at::Tensor& x, const std::vector<Linear>& layers) {
  std::vector<at::Tensor> parameters;
  for (const Linear& layer : layers) parameters.insert(parameters.end(), {layer->weight, layer->bias});
  return TrainedLinears::apply(x, at::TensorList(parameters), layers);
}

// Both factors in 8 bits; sums are float32. Without the low-rank update. input [N, in] → [N, out]
at::Tensor product_8_bits(const Scaled8Bit& input, const Linear& layer, at::ScalarType dtype) {
  return at::_scaled_mm(input.values, layer->weight.t(), input.scale, layer->weight_scale.reshape(at::IntArrayRef()),
                        layer->bias_in(dtype), /*scale_result=*/{}, dtype);
}

std::vector<at::Tensor> products_8_bits(const at::Tensor& x, const std::vector<Linear>& layers) {
  const Scaled8Bit input = input_to_8_bits(x.reshape({-1, x.size(-1)}));
  std::vector<at::Tensor> results;
  std::vector<int64_t> sizes = x.sizes().vec();
  for (const Linear& layer : layers) {
    sizes.back() = layer->out();
    const at::Tensor y = product_8_bits(input, layer, x.scalar_type()).view(sizes);
    results.push_back(layer->has_low_rank() ? layer->plus_low_rank(y, x) : y);
  }
  return results;
}

at::Tensor product(const at::Tensor& x, const Linear& layer) {
  if (layer->multiplies_8_bits(x)) return products_8_bits(x, {layer})[0];
  if (trained_on_cuda(x, layer)) return trained_linears(x, {layer})[0];
  const at::ScalarType dtype = x.scalar_type();
  if (!layer->trains_low_rank()) return at::linear(x, layer->weight_in(dtype), layer->bias_in(dtype));
  return layer->plus_low_rank(at::linear(x, layer->base_in(dtype), layer->bias_in(dtype)), x);
}

// GELU in the product's epilogue (cuBLASLt's is the tanh form): the widest tensor of a block is written once and not
// read and written again. Training needs the input of GELU as well, which this does not produce.
at::Tensor linear_gelu(const at::Tensor& x, const Linear& layer) {
  const at::ScalarType dtype = x.scalar_type();
  return at::_addmm_activation(layer->bias_in(dtype), x, layer->weight_in(dtype).t(), 1, 1, /*use_gelu=*/true);
}

}  // namespace

LinearImpl::LinearImpl(int64_t in, int64_t out) : LinearImpl(at::IntArrayRef{out, in}) {}

LinearImpl::LinearImpl(at::IntArrayRef weight_sizes)
    : ProductWeight(weight_sizes), bias(register_parameter("bias", at::empty({weight_sizes[0]}))) {}

at::Tensor LinearImpl::bias_in(at::ScalarType dtype) const { return bias.to(dtype); }

at::Tensor LinearImpl::forward(const at::Tensor& x) {
  return linears(x, {Linear(std::static_pointer_cast<LinearImpl>(shared_from_this()))})[0];
}

std::vector<at::Tensor> linears(const at::Tensor& x, const std::vector<Linear>& products) {
  if (std::ranges::all_of(products, [&](const Linear& layer) { return trained_on_cuda(x, layer); }))
    return trained_linears(x, products);
  if (std::ranges::all_of(products, [&](const Linear& layer) { return layer->multiplies_8_bits(x); }))
    return products_8_bits(x, products);
  std::vector<at::Tensor> results;
  for (const Linear& layer : products) results.push_back(product(x, layer));
  return results;
}

void LinearImpl::fill_xavier() {
  torch::NoGradGuard no_grad;
  torch::nn::init::xavier_uniform_(weight.flatten(1));
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
    const int64_t row_bytes = first->out() * static_cast<int64_t>(x.element_size());
    const int64_t rows = std::max<int64_t>(1, hidden_bytes / row_bytes);
    if (x.size(0) > rows) return in_chunks(x, rows);
  }
  const bool trained = at::GradMode::is_enabled() && first->weight.requires_grad();
  if (trained && activation_ == Activation::kGeluTanh && gelu_mlp_serves(x, first, second))
    return gelu_mlp(x, first, second);
  if (fuses_8_bits(x)) return product_8_bits(gelu_to_8_bits(first(x)), second, x.scalar_type());
  return second(hidden(x));
}

bool MlpImpl::fuses_8_bits(const at::Tensor& x) const {
  return activation_ == Activation::kGeluTanh && x.dim() == 2 && second->multiplies_8_bits(x) &&
         !second->has_low_rank();
}

at::Tensor MlpImpl::hidden(const at::Tensor& x) {
  if (activation_ == Activation::kGeluTanh && x.is_cuda() && x.dim() == 2 && !at::GradMode::is_enabled() &&
      !first->multiplies_8_bits(x))
    return linear_gelu(x, first);
  const at::Tensor product = first(x);
  return activation_ == Activation::kSilu ? at::silu(product) : at::gelu(product, "tanh");
}

at::Tensor MlpImpl::in_chunks(const at::Tensor& x, int64_t rows) {
  const bool in_8_bits = second->multiplies_8_bits(x);
  const at::Tensor weight = in_8_bits ? at::Tensor() : second->weight_in(x.scalar_type()).t(),
                   bias = second->bias_in(x.scalar_type());
  at::Tensor y = at::empty({x.size(0), second->out()}, x.options());
  for (int64_t begin = 0; begin < x.size(0); begin += rows) {
    const int64_t end = std::min(begin + rows, x.size(0));
    at::Tensor chunk = y.slice(0, begin, end);
    const at::Tensor part = x.slice(0, begin, end);
    if (in_8_bits)
      chunk.copy_(forward(part));
    else
      at::addmm_out(chunk, bias, hidden(part), weight);
  }
  return y;
}

}  // namespace moga
