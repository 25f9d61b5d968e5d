// See vision_transformer.h.
#include "moga/model/image/vision_transformer.h"

#include <torch/types.h>

#include <cmath>

#include "moga/core/check.h"
#include "moga/core/interrupt.h"

namespace moga {
namespace {

// Names in transformers' checkpoints. "pre_layrnorm" is its spelling.
struct VisionNames {
  const char *class_token, *patches, *positions, *first_norm, *final_norm;
  PreNormNames layers;
};
constexpr VisionNames kClipNames = {.class_token = "embeddings.class_embedding",
                                    .patches = "embeddings.patch_embedding",
                                    .positions = "embeddings.position_embedding.weight",
                                    .first_norm = "pre_layrnorm",
                                    .final_norm = "post_layernorm",
                                    .layers = kClipLayers};
constexpr VisionNames kVitNames = {.class_token = "embeddings.cls_token",
                                   .patches = "embeddings.patch_embeddings.projection",
                                   .positions = "embeddings.position_embeddings",
                                   .first_norm = nullptr,
                                   .final_norm = "layernorm",
                                   .layers = {.list = "encoder.layer",
                                              .q = "attention.attention.query",
                                              .k = "attention.attention.key",
                                              .v = "attention.attention.value",
                                              .out = "attention.output.dense",
                                              .norm1 = "layernorm_before",
                                              .norm2 = "layernorm_after",
                                              .first = "intermediate.dense",
                                              .second = "output.dense"}};
// As ViT, but for the norms, the feed-forward layer and the scales of the layers.
constexpr VisionNames kDinov2Names = [] {
  VisionNames names = kVitNames;
  names.layers.norm1 = "norm1";
  names.layers.norm2 = "norm2";
  names.layers.first = "mlp.fc1";
  names.layers.second = "mlp.fc2";
  names.layers.scale1 = "layer_scale1.lambda1";
  names.layers.scale2 = "layer_scale2.lambda1";
  return names;
}();

const VisionNames& names_of(VisionFamily family) {
  switch (family) {
    case VisionFamily::kClip:
      return kClipNames;
    case VisionFamily::kVit:
      return kVitNames;
    case VisionFamily::kDinov2:
      return kDinov2Names;
  }
  fail("vision transformer: unknown family ", static_cast<int>(family));
}

}  // namespace

VisionTransformerImpl::VisionTransformerImpl(const ImageEncoderConfig& config, VisionFamily family)
    : config_(config), family_(family) {
  config.validate();
  const VisionNames& names = names_of(family);
  const int64_t width = config.hidden_size, patch = config.patch_size;
  const bool clip = family == VisionFamily::kClip;
  const std::vector<int64_t> filters = {width, 3, patch, patch};
  class_embedding_ = clip ? register_tensor(*this, names.class_token, {width})
                          : register_tensor(*this, names.class_token, {1, 1, width});
  patches_ = clip ? Affine{register_tensor(*this, std::string(names.patches) + ".weight", filters), {}}
                  : register_affine(*this, names.patches, filters);
  positions_ = clip ? register_tensor(*this, names.positions, {config.tokens(), width})
                    : register_tensor(*this, names.positions, {1, config.tokens(), width});
  if (names.first_norm) first_norm_ = register_affine(*this, names.first_norm, {width});
  layers_.emplace(*this,
                  PreNormConfig{.width = width,
                                .hidden = config.intermediate_size,
                                .layers = config.num_hidden_layers,
                                .heads = config.num_attention_heads,
                                .activation = config.hidden_act,
                                .epsilon = config.layer_norm_eps},
                  names.layers);
  final_norm_ = register_affine(*this, names.final_norm, {width});
}

at::Tensor VisionTransformerImpl::positions(int64_t rows, int64_t columns) const {
  const int64_t side = config_.image_size / config_.patch_size;
  const at::Tensor all = positions_.view({config_.tokens(), -1});  // of the class token, then of the patches
  if (rows == side && columns == side) return all;
  const at::Tensor grid = all.narrow(0, 1, side * side).view({1, side, side, -1}).permute({0, 3, 1, 2});
  std::optional<double> down, across;
  if (family_ == VisionFamily::kVit) {
    down = (static_cast<double>(rows) + 0.1) / static_cast<double>(side);
    across = (static_cast<double>(columns) + 0.1) / static_cast<double>(side);
  }
  const at::Tensor resized = at::upsample_bicubic2d(grid, {rows, columns}, false, down, across);
  return at::cat({all.narrow(0, 0, 1), resized.permute({0, 2, 3, 1}).reshape({rows * columns, -1})});
}

at::Tensor VisionTransformerImpl::embedded(const at::Tensor& pixels) const {
  const int64_t patch = config_.patch_size;
  const at::Tensor grid = at::conv2d(pixels, patches_.weight, patches_.bias, {patch, patch});  // [n, C, rows, columns]
  const at::Tensor first = class_embedding_.view({1, 1, -1}).expand({pixels.size(0), 1, -1});
  const at::Tensor all = at::cat({first, grid.flatten(2).transpose(1, 2)}, 1) + positions(grid.size(2), grid.size(3));
  return first_norm_.weight.defined() ? normalised(all, first_norm_, config_.layer_norm_eps) : all;
}

at::Tensor VisionTransformerImpl::tokens(const at::Tensor& pixels, int64_t layers) const {
  const int64_t size = config_.image_size, patch = config_.patch_size;
  if (family_ == VisionFamily::kClip)
    check(pixels.dim() == 4 && pixels.size(1) == 3 && pixels.size(2) == size && pixels.size(3) == size,
          "image encoder: pixels ", pixels.sizes(), ", expected [n, 3, ", size, ", ", size, "]");
  else
    check(pixels.dim() == 4 && pixels.size(1) == 3 && pixels.size(2) >= patch && pixels.size(3) >= patch,
          "vision transformer: pixels ", pixels.sizes(), ", expected [n, 3, Y, X] with at least ", patch,
          " rows and columns");
  at::Tensor x = embedded(pixels);
  for (int64_t i = 0; i < layers; ++i) {
    stop_inside_if_interrupted();
    x = (*layers_)(i, x);
  }
  return x;
}

at::Tensor VisionTransformerImpl::class_token(const at::Tensor& pixels) const {
  return normalised(tokens(pixels, layers_->size()).select(1, 0), final_norm_, config_.layer_norm_eps);
}

}  // namespace moga
