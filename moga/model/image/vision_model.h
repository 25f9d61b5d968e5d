// A vision model as a folder that transformers reads: config.json and safetensors of CLIPModel (or its vision half with
// projection), ViTModel (DINO) or Dinov2Model. One feature per image: CLIP's projected class token, the others' class
// token. Float32.
#pragma once

#include <torch/nn/pimpl.h>

#include "moga/model/image/vision_transformer.h"

namespace moga {

struct VisionModelConfig {
  VisionFamily family = VisionFamily::kClip;
  ImageEncoderConfig transformer;
  int64_t projection = 0;  // width of CLIP's features; 0: none

  int64_t features() const { return projection > 0 ? projection : transformer.hidden_size; }
};
// By "model_type"; a key that would change the result and is not understood is an error.
VisionModelConfig load_vision_model_config(const std::filesystem::path& path);

class VisionModelImpl : public torch::nn::Module {
 public:
  explicit VisionModelImpl(const VisionModelConfig& config);  // weights unset, for a file
  at::Tensor forward(const at::Tensor& pixels);               // [n, 3, Y, X] → [n, features]
  const VisionModelConfig& config() const { return config_; }

 private:
  VisionModelConfig config_;
  std::shared_ptr<VisionTransformerImpl> transformer_;
  at::Tensor projection_;
};
TORCH_MODULE(VisionModel);

// Throws when a tensor is missing, has another shape, or is not understood.
VisionModel load_vision_model(const std::filesystem::path& folder, at::Device device);

}  // namespace moga
