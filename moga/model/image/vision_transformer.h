// Vision transformers (ViT) of three families: images [n, 3, Y, X] → tokens [n, 1 + (Y/p)(X/p), C].
//
//   CLIP    patches, class token, positions, norm, layers; final norm of the class token
//   ViT     patches, class token, positions, layers, norm: also DINO's
//   DINOv2  the same with layer scales
//
// CLIP takes square images of one size. The others interpolate the positions of the patches for other sizes: ViT as
// DINO's own program does (bicubic by the factors (⌊Y/p⌋ + 0.1) / √N), DINOv2 as transformers does (bicubic to the
// size). Modules carry the names of transformers' checkpoints.
#pragma once

#include <torch/nn/module.h>

#include <optional>

#include "moga/model/image/image_encoder.h"
#include "moga/model/image/pre_norm_layers.h"

namespace moga {

enum class VisionFamily { kClip, kVit, kDinov2 };
template <>
inline constexpr auto kChoices<VisionFamily> = std::array{
    Choice{VisionFamily::kClip, "clip", "CLIP's vision tower"},
    Choice{VisionFamily::kVit, "vit", "ViT, DINO"},
    Choice{VisionFamily::kDinov2, "dinov2", "DINOv2"},
};

class VisionTransformerImpl : public torch::nn::Module {
 public:
  // Weights unset, for a file.
  explicit VisionTransformerImpl(const ImageEncoderConfig& config, VisionFamily family = VisionFamily::kClip);
  // Tokens after the first `layers` layers, [n, tokens, C].
  at::Tensor tokens(const at::Tensor& pixels, int64_t layers) const;
  // The class token after all layers and the final norm, [n, C].
  at::Tensor class_token(const at::Tensor& pixels) const;

 private:
  at::Tensor embedded(const at::Tensor& pixels) const;
  at::Tensor positions(int64_t rows, int64_t columns) const;

  ImageEncoderConfig config_;
  VisionFamily family_;
  at::Tensor class_embedding_, positions_;
  Affine patches_;  // without bias in CLIP
  Affine first_norm_, final_norm_;
  std::optional<PreNormLayers> layers_;
};

}  // namespace moga
