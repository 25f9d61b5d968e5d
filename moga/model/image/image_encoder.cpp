// See image_encoder.h.
#include "moga/model/image/image_encoder.h"

#include <torch/types.h>

#include "moga/core/check.h"
#include "moga/model/image/vision_transformer.h"
#include "moga/model/layers/limits.h"

namespace moga {

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

ImageEncoderImpl::ImageEncoderImpl(const ImageEncoderConfig& config)
    : config_(config), transformer_(register_module("vision_model", std::make_shared<VisionTransformerImpl>(config))) {}

at::Tensor ImageEncoderImpl::forward(const at::Tensor& pixels) {
  return transformer_->tokens(pixels, config_.num_hidden_layers - 1);
}

}  // namespace moga
