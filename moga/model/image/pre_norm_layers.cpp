// See pre_norm_layers.h.
#include "moga/model/image/pre_norm_layers.h"

#include <torch/types.h>

namespace moga {
namespace {

// The module in which the last name of a dotted path is a parameter, and that name.
std::pair<torch::nn::Module*, std::string> place_of(torch::nn::Module& root, const std::string& path) {
  torch::nn::Module* module = &root;
  size_t begin = 0;
  for (size_t end; (end = path.find('.', begin)) != std::string::npos; begin = end + 1) {
    const std::string name = path.substr(begin, end - begin);
    const auto children = module->named_children();
    const auto* child = children.find(name);
    module = child ? child->get() : module->register_module(name, std::make_shared<torch::nn::Module>()).get();
  }
  return {module, path.substr(begin)};
}

at::Tensor product(const at::Tensor& rows, const Affine& by) { return at::linear(rows, by.weight, by.bias); }

at::Tensor scaled(const at::Tensor& x, const at::Tensor& scale) { return scale.defined() ? x * scale : x; }

}  // namespace

at::Tensor register_tensor(torch::nn::Module& root, const std::string& path, at::IntArrayRef shape) {
  const auto [module, name] = place_of(root, path);
  return module->register_parameter(name, at::empty(shape));
}

Affine register_affine(torch::nn::Module& root, const std::string& path, at::IntArrayRef weight) {
  return {register_tensor(root, path + ".weight", weight), register_tensor(root, path + ".bias", {weight[0]})};
}

at::Tensor normalised(const at::Tensor& x, const Affine& norm, double epsilon) {
  return at::layer_norm(x, {x.size(-1)}, norm.weight, norm.bias, epsilon);
}

PreNormLayers::PreNormLayers(torch::nn::Module& root, const PreNormConfig& config, const PreNormNames& names)
    : config_(config) {
  const int64_t width = config.width, hidden = config.hidden;
  for (int64_t i = 0; i < config.layers; ++i) {
    const std::string prefix = std::string(names.list) + "." + std::to_string(i) + ".";
    const auto affine = [&](const char* name, at::IntArrayRef weight) {
      return register_affine(root, prefix + name, weight);
    };
    Layer layer{.q = affine(names.q, {width, width}),
                .k = affine(names.k, {width, width}),
                .v = affine(names.v, {width, width}),
                .out = affine(names.out, {width, width}),
                .norm1 = affine(names.norm1, {width}),
                .norm2 = affine(names.norm2, {width}),
                .first = affine(names.first, {hidden, width}),
                .second = affine(names.second, {width, hidden}),
                .scale1 = {},
                .scale2 = {}};
    if (names.scale1) layer.scale1 = register_tensor(root, prefix + names.scale1, {width});
    if (names.scale2) layer.scale2 = register_tensor(root, prefix + names.scale2, {width});
    layers_.push_back(std::move(layer));
  }
}

at::Tensor PreNormLayers::operator()(int64_t number, const at::Tensor& x) const {
  const Layer& own = layers_[static_cast<size_t>(number)];
  const auto heads = [&](const at::Tensor& rows, const Affine& by) {
    return product(rows, by).unflatten(2, {config_.heads, -1}).transpose(1, 2);  // [n, H, tokens, D]
  };
  const at::Tensor y = normalised(x, own.norm1, config_.epsilon);
  const at::Tensor attended =
      at::scaled_dot_product_attention(heads(y, own.q), heads(y, own.k), heads(y, own.v), {}, 0, config_.causal);
  const at::Tensor sum = x + scaled(product(attended.transpose(1, 2).flatten(2), own.out), own.scale1);
  const at::Tensor hidden = product(normalised(sum, own.norm2, config_.epsilon), own.first);
  const at::Tensor active =
      config_.activation == ImageActivation::kGelu ? at::gelu(hidden) : hidden * at::sigmoid(1.702 * hidden);
  return sum + scaled(product(active, own.second), own.scale2);
}

}  // namespace moga
