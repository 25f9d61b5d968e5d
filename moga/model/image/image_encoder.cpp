// See image_encoder.h.
#include "moga/model/image/image_encoder.h"

#include <torch/types.h>

#include "moga/core/check.h"
#include "moga/core/interrupt.h"
#include "moga/model/layers/limits.h"

namespace moga {
namespace {

using Module = torch::nn::Module;

std::shared_ptr<Module> child(Module& parent, const std::string& name) {
  return parent.register_module(name, std::make_shared<Module>());
}

}  // namespace

void ImageEncoderConfig::validate() const {
  for (const int64_t side :
       {hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, image_size, patch_size})
    check(side >= 1 && side <= kMostSide, "image encoder: a size is ", side, ", expected 1 to ", kMostSide);
  check(num_hidden_layers <= kMostLayers, "image encoder: num_hidden_layers is ", num_hidden_layers,
        ", expected at most ", kMostLayers);
  check(hidden_size % num_attention_heads == 0, "image encoder: hidden_size ", hidden_size,
        " is not a multiple of num_attention_heads ", num_attention_heads);
  check(image_size % patch_size == 0 && image_size <= 4096, "image encoder: image_size ", image_size,
        ", expected a multiple of patch_size ", patch_size, " up to 4096");
}

ImageEncoderConfig vit_h_14() {
  return {.hidden_size = 1280,
          .intermediate_size = 5120,
          .num_hidden_layers = 32,
          .num_attention_heads = 16,
          .patch_size = 14,
          .hidden_act = ImageActivation::kGelu};
}

ImageEncoderImpl::ImageEncoderImpl(const ImageEncoderConfig& config) : config_(config) {
  config.validate();
  const int64_t width = config.hidden_size, hidden = config.intermediate_size;
  const auto affine = [](Module& parent, const std::string& name, at::IntArrayRef weight) {
    const auto module = child(parent, name);
    return Affine{module->register_parameter("weight", at::empty(weight)),
                  module->register_parameter("bias", at::empty({weight[0]}))};
  };
  const auto root = child(*this, "vision_model"), embeddings = child(*root, "embeddings");
  class_embedding_ = embeddings->register_parameter("class_embedding", at::empty({width}));
  patch_embedding_ = child(*embeddings, "patch_embedding")
                         ->register_parameter("weight", at::empty({width, 3, config.patch_size, config.patch_size}));
  position_embedding_ =
      child(*embeddings, "position_embedding")->register_parameter("weight", at::empty({config.tokens(), width}));
  pre_norm_ = affine(*root, "pre_layrnorm", {width});  // transformers' spelling
  const auto layers = child(*child(*root, "encoder"), "layers");
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    const auto layer = child(*layers, std::to_string(i)), attention = child(*layer, "self_attn"),
               mlp = child(*layer, "mlp");
    layers_.push_back({.q = affine(*attention, "q_proj", {width, width}),
                       .k = affine(*attention, "k_proj", {width, width}),
                       .v = affine(*attention, "v_proj", {width, width}),
                       .out = affine(*attention, "out_proj", {width, width}),
                       .norm1 = affine(*layer, "layer_norm1", {width}),
                       .norm2 = affine(*layer, "layer_norm2", {width}),
                       .first = affine(*mlp, "fc1", {hidden, width}),
                       .second = affine(*mlp, "fc2", {width, hidden})});
  }
  post_norm_ = affine(*root, "post_layernorm", {width});
}

at::Tensor ImageEncoderImpl::norm(const Affine& affine, const at::Tensor& x) const {
  return at::layer_norm(x, {config_.hidden_size}, affine.weight, affine.bias, config_.layer_norm_eps);
}

at::Tensor ImageEncoderImpl::embedded(const at::Tensor& pixels) const {
  const int64_t patch = config_.patch_size;
  const at::Tensor patches = at::conv2d(pixels, patch_embedding_, {}, {patch, patch}).flatten(2).transpose(1, 2);
  const at::Tensor first = class_embedding_.expand({pixels.size(0), 1, -1});
  return norm(pre_norm_, at::cat({first, patches}, 1) + position_embedding_);
}

at::Tensor ImageEncoderImpl::layer(size_t number, const at::Tensor& x) const {
  const Layer& own = layers_[number];
  const auto product = [](const at::Tensor& rows, const Affine& by) { return at::linear(rows, by.weight, by.bias); };
  const auto heads = [&](const at::Tensor& rows, const Affine& by) {
    return product(rows, by).unflatten(2, {config_.num_attention_heads, -1}).transpose(1, 2);  // [n, H, tokens, D]
  };
  const at::Tensor y = norm(own.norm1, x);
  const at::Tensor attended = at::scaled_dot_product_attention(heads(y, own.q), heads(y, own.k), heads(y, own.v));
  const at::Tensor sum = x + product(attended.transpose(1, 2).flatten(2), own.out);
  const at::Tensor hidden = product(norm(own.norm2, sum), own.first);
  const at::Tensor active =
      config_.hidden_act == ImageActivation::kGelu ? at::gelu(hidden) : hidden * at::sigmoid(1.702 * hidden);
  return sum + product(active, own.second);
}

at::Tensor ImageEncoderImpl::forward(const at::Tensor& pixels) {
  check(pixels.dim() == 4 && pixels.size(1) == 3 && pixels.size(2) == config_.image_size &&
            pixels.size(3) == config_.image_size,
        "image encoder: pixels ", pixels.sizes(), ", expected [n, 3, ", config_.image_size, ", ", config_.image_size,
        "]");
  at::Tensor x = embedded(pixels);
  for (size_t i = 0; i + 1 < layers_.size(); ++i) {
    stop_inside_if_interrupted();
    x = layer(i, x);
  }
  return x;
}

}  // namespace moga
