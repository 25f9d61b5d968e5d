// The weight of a product, as it is stored and as a product reads it:
//
//   weight_in(dtype) = s_w · W + s · up · down        [out, in]
//
//   W         as loaded: a float dtype, or 8 bits (float8_e4m3fn) with scales s_w, one for the tensor or one per row
//   up, down  a low-rank update (LoRA) of rank r, absent in most layers
//
// The sum is formed at each use and freed after it: no second copy of the model is kept. Where the update is trained,
// the layer computes the two thin products instead (linear.h). Base class of Linear and of the text encoder's tables.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <string>

#include "moga/core/choice.h"

namespace moga {

// Names of the members that a model has beyond its family's: "blocks.0.ffn.0.lora_up", "blocks.0.ffn.0.weight_scale".
inline constexpr const char* kLoraDown = "lora_down";
inline constexpr const char* kLoraUp = "lora_up";
inline constexpr const char* kWeightScale = "weight_scale";
// Whether `name` is a factor of a low-rank update, or the scale of an 8-bit weight.
bool is_low_rank(const std::string& name);
bool is_weight_scale(const std::string& name);

class ProductWeight : public torch::nn::Module {
 public:
  // Differentiable where gradients are enabled. A float weight of that dtype without an update is returned as it is.
  at::Tensor weight_in(at::ScalarType dtype) const;
  // Without the low-rank update.
  at::Tensor base_in(at::ScalarType dtype) const;

  // Adds scale · up · down to the weight, and to an update that is there already. down [r, in], up [out, r].
  void add_low_rank(const at::Tensor& down, const at::Tensor& up, double scale);
  bool has_low_rank() const { return lora_up.defined(); }
  // Whether gradients flow to the update now.
  bool trains_low_rank() const;
  // y + s · up (down x) of x [..., in], y [..., out] in the dtype of x: two thin products.
  at::Tensor plus_low_rank(const at::Tensor& y, const at::Tensor& x) const;

  // The weight is stored in 8 bits from here on, with scales of this shape ([], [1] or [out, 1]), both without values.
  // It gets no gradient. Called before weights are loaded.
  void store_in_8_bits(at::IntArrayRef scale_shape);
  bool in_8_bits() const { return weight_scale.defined(); }
  // Whether a product with x is one of 8-bit numbers (multiply_8_bits): x in bfloat16, without gradients, one scale,
  // and sides that the device's product takes.
  bool multiplies_8_bits(const at::Tensor& x) const;

  int64_t in() const { return weight.numel() / weight.size(0); }
  int64_t out() const { return weight.size(0); }

  at::Tensor weight;        // [out, in]; a convolution's has more dimensions after `out`
  at::Tensor weight_scale;  // float32, of an 8-bit weight; undefined otherwise
  at::Tensor lora_down;     // [r, in]; undefined without an update
  at::Tensor lora_up;       // [out, r]
  double lora_scale = 1;
  bool multiply_8_bits = false;  // quantise the input, too, instead of dequantising an 8-bit weight

 protected:
  explicit ProductWeight(at::IntArrayRef sizes);
};

// A matrix in 8 bits: float8_e4m3fn values and the float32 scale [] by which they are multiplied.
struct Scaled8Bit {
  at::Tensor values, scale;
};
// scale = max |w| / 448, the largest float8_e4m3fn; values rounded to nearest even.
Scaled8Bit to_8_bits(const at::Tensor& weight);
// The same for the input x of a product, and for GELU(x) in tanh form. Nothing waits for the device. Where our kernel
// does not support x, quotients and the scale's inverse are rounded to x's dtype.
Scaled8Bit input_to_8_bits(const at::Tensor& x);
Scaled8Bit gelu_to_8_bits(const at::Tensor& x);

// How products use weights that are stored in 8 bits.
enum class EightBitProducts { kDequantise, kMultiply };
template <>
inline constexpr auto kChoices<EightBitProducts> = std::array{
    Choice{EightBitProducts::kDequantise, "dequantise",
           "weights are dequantised layer by layer, products are bfloat16"},
    Choice{EightBitProducts::kMultiply, "multiply", "inputs are quantised as well, one scale each: faster, less exact"},
};
// Sets multiply_8_bits of all layers. Throws when none has 8-bit weights.
void use_8_bit_products(torch::nn::Module& model);

}  // namespace moga
