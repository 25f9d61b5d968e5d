// One tiny model for all tests of a program: written once, loaded as often as a test likes.
#pragma once

#include "moga/core/files.h"
#include "moga/model/image/image_encoder.h"
#include "moga/model/wan/transformer.h"
#include "moga/pipeline/images.h"
#include "tests/support/folder.h"
#include "tests/support/tiny_model.h"

namespace moga::test {

inline const std::filesystem::path& tiny_folder() {
  static const Folder folder;
  static const bool written = (write_tiny_model(folder.path()), true);
  (void)written;
  return folder.path();
}

inline Models tiny_models() { return load_models(tiny_folder(), at::kCPU, at::kFloat); }

// The tiny model with a second expert of other weights, which computes the second of its two steps.
inline const std::filesystem::path& two_expert_folder() {
  static const Folder folder;
  static const bool written = [] {
    std::filesystem::copy(tiny_folder(), folder.path(), std::filesystem::copy_options::recursive);
    const Transformer expert = load_transformer(folder / "transformer", at::kCPU, at::kFloat);
    at::manual_seed(9);
    for (const at::Tensor& weight : expert->parameters()) weight.detach().add_(at::randn_like(weight), 0.05);
    save_transformer(folder / "transformer_2", expert, at::kFloat);
    write_text(folder / "model_index.json", R"({"_class_name": "WanPipeline", "boundary_ratio": 0.9,
      "transformer": ["diffusers", "WanTransformer3DModel"],
      "transformer_2": ["diffusers", "WanTransformer3DModel"]})");
    return true;
  }();
  (void)written;
  return folder.path();
}

// The tiny model with the condition of an image-to-video model as further channels; no image encoder.
inline const std::filesystem::path& image_folder() {
  static const Folder folder;
  static const bool written = [] {
    std::filesystem::copy(tiny_folder(), folder.path(), std::filesystem::copy_options::recursive);
    TransformerConfig config = load_transformer_config(folder / "transformer/config.json");
    config.in_channels = 2 * config.out_channels + 4;
    at::manual_seed(10);
    Transformer model(config);
    for (const at::Tensor& weight : model->parameters()) weight.detach().add_(at::randn_like(weight), 0.1);
    save_transformer(folder / "transformer", model, at::kFloat);
    return true;
  }();
  (void)written;
  return folder.path();
}

// Both stages: prompts, then latents.
inline std::vector<at::Tensor> denoised(Models& models, const std::vector<VideoRequest>& requests,
                                        const DenoiseOptions& options) {
  return denoise(models, requests, encode_conditions(models, requests, options.sampler), options);
}

}  // namespace moga::test
