// See product_weight.h.
#include "moga/model/layers/product_weight.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"
#include "moga/core/device.h"

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
    lora_down = register_parameter(kLoraDown, down);
    lora_up = register_parameter(kLoraUp, up);
    return;
  }
  lora_down.set_data(at::cat({lora_down.detach(), down}));
  lora_up.set_data(at::cat({lora_up.detach() * lora_scale, up * scale}, 1));
  lora_scale = 1;
}

bool ProductWeight::trains_low_rank() const {
  return has_low_rank() && at::GradMode::is_enabled() && lora_up.requires_grad();
}

at::Tensor ProductWeight::low_rank_product(const at::Tensor& x) const {
  const at::ScalarType dtype = x.scalar_type();
  return at::linear(at::linear(x, lora_down.to(dtype)), lora_up.to(dtype)) * lora_scale;
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

}  // namespace moga
