// See product_weight.h.
#include "moga/model/layers/product_weight.h"

#include <ATen/ATen.h>

#include <cmath>

#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/model/layers/norm_cuda.h"

namespace moga {
namespace {

constexpr double kLargest8Bit = 448;  // of float8_e4m3fn

bool ends_in(const std::string& name, const char* member) { return name.ends_with(std::string(".") + member); }

}  // namespace

bool is_low_rank(const std::string& name) { return ends_in(name, kLoraDown) || ends_in(name, kLoraUp); }
bool is_weight_scale(const std::string& name) { return ends_in(name, kWeightScale); }

ProductWeight::ProductWeight(at::IntArrayRef sizes) : weight(register_parameter("weight", at::empty(sizes))) {}

at::Tensor ProductWeight::base_in(at::ScalarType dtype) const {
  const at::Tensor matrix = weight.flatten(1);
  if (!in_8_bits()) return matrix.to(dtype);
  return (matrix.to(wide(dtype)) * weight_scale.view({-1, 1})).to(dtype);
}

at::Tensor ProductWeight::weight_in(at::ScalarType dtype) const {
  const at::Tensor base = base_in(dtype);
  if (!has_low_rank()) return base;
  return at::addmm(base, lora_up.to(dtype), lora_down.to(dtype), /*beta=*/1, /*alpha=*/lora_scale);
}

void ProductWeight::add_low_rank(const at::Tensor& down, const at::Tensor& up, double scale) {
  check(down.dim() == 2 && up.dim() == 2 && down.size(1) == in() && up.size(0) == out() && down.size(0) == up.size(1),
        "low-rank update of ", up.sizes(), " and ", down.sizes(), " for a weight of [", out(), ", ", in(), "]");
  if (!has_low_rank()) {
    lora_scale = scale;
    lora_down = register_parameter(kLoraDown, down.detach());
    lora_up = register_parameter(kLoraUp, up.detach());
    return;
  }
  lora_down.set_data(at::cat({lora_down.detach(), down}));
  lora_up.set_data(at::cat({lora_up.detach() * lora_scale, up * scale}, 1));
  lora_scale = 1;
}

bool ProductWeight::trains_low_rank() const {
  return has_low_rank() && at::GradMode::is_enabled() && lora_up.requires_grad();
}

at::Tensor ProductWeight::plus_low_rank(const at::Tensor& y, const at::Tensor& x) const {
  const at::ScalarType dtype = x.scalar_type();
  const at::Tensor thin = (at::linear(x, lora_down.to(dtype)) * lora_scale).reshape({-1, lora_down.size(0)});
  return at::addmm(y.reshape({-1, out()}), thin, lora_up.to(dtype).t()).view(y.sizes());
}

bool ProductWeight::multiplies_8_bits(const at::Tensor& x) const {
  constexpr int64_t kStep = 16;  // of both sides, for the device's product
  return multiply_8_bits && in_8_bits() && weight_scale.numel() == 1 && !at::GradMode::is_enabled() &&
         x.scalar_type() == at::kBFloat16 && in() % kStep == 0 && out() % kStep == 0;
}

void ProductWeight::store_in_8_bits(at::IntArrayRef scale_shape) {
  weight.requires_grad_(false);
  weight.set_data(at::empty(weight.sizes(), weight.options().dtype(at::kFloat8_e4m3fn)));
  weight_scale = register_buffer(kWeightScale, at::empty(scale_shape, weight.options().dtype(at::kFloat)));
}

Scaled8Bit to_8_bits(const at::Tensor& weight) {
  const at::Tensor values = weight.detach().to(at::kFloat);
  const at::Tensor scale = (values.abs().max() / kLargest8Bit).clamp_min(1e-30);
  return {(values / scale).clamp(-kLargest8Bit, kLargest8Bit).to(at::kFloat8_e4m3fn), scale};
}

Scaled8Bit input_to_8_bits(const at::Tensor& x) {
  if (eight_bits_serve(x)) return eight_bits_cuda(x, /*gelu=*/false);
  const at::Tensor largest = at::linalg_vector_norm(x, INFINITY, std::nullopt, false, at::kFloat);
  const at::Tensor inverse = (kLargest8Bit / largest.clamp_min(1e-12)).to(x.scalar_type());  // the factor that is used
  return {(x * inverse).clamp_(-kLargest8Bit, kLargest8Bit).to(at::kFloat8_e4m3fn),
          inverse.to(at::kFloat).reciprocal()};
}

Scaled8Bit gelu_to_8_bits(const at::Tensor& x) {
  if (eight_bits_serve(x)) return eight_bits_cuda(x, /*gelu=*/true);
  return input_to_8_bits(at::gelu(x, "tanh"));
}

void use_8_bit_products(torch::nn::Module& model) {
  int64_t count = 0;
  for (const auto& module : model.modules(/*include_self=*/false))
    if (auto* product = dynamic_cast<ProductWeight*>(module.get()); product && product->in_8_bits()) {
      product->multiply_8_bits = true;
      ++count;
    }
  check(count > 0, "8-bit products: the model has no weights in 8 bits");
}

}  // namespace moga
