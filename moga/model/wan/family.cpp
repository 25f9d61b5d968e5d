// See family.h. Configs without `_class_name` are the original's (dim, num_heads) or diffusers' (num_attention_heads,
// attention_head_dim).
#include "moga/model/wan/family.h"

#include <nlohmann/json.hpp>

#include "moga/core/safetensors.h"
#include "moga/model/layers/file_fit.h"
#include "moga/model/wan/transformer.h"

namespace moga {
namespace {

using Path = std::filesystem::path;

bool recognises(const nlohmann::json& config) {
  return (config.contains("dim") && config.contains("num_heads")) ||
         (config.contains("num_attention_heads") && config.contains("attention_head_dim"));
}

Cloned<VideoModelConfig> read_config(const Path& config_json) { return load_transformer_config(config_json); }

VideoModelPtr load(const Path& folder, const VideoModelLoad& how) { return load_transformer(folder, how).ptr(); }

WeightLayout layout(const Path& folder) { return detect_layout(Safetensors(folder).names(), folder.string()); }

TransformerConfig wan_14b() {
  TransformerConfig config;
  config.num_attention_heads = 40;
  config.ffn_dim = 13824;
  config.num_layers = 40;
  return config;
}

// Wan2.2-TI2V-5B: latents of its own codec.
TransformerConfig wan_5b() {
  TransformerConfig config;
  config.num_attention_heads = 24;
  config.ffn_dim = 14336;
  config.in_channels = config.out_channels = 48;
  return config;
}

// Channels of the image condition: mask and latents.
TransformerConfig with_images(TransformerConfig config) {
  config.in_channels = 36;
  return config;
}

TransformerConfig with_image_encoder(TransformerConfig config) {
  config.image_dim = 1280;
  config.added_kv_proj_dim = config.width();
  return config;
}

// In a model_index.json or a config.json, of diffusers or of the original repositories.
std::vector<NamedMeaning> beyond_wan() {
  return {{"WanVACEPipeline", "VACE, for controlled generation"},
          {"WanVideoToVideoPipeline", "a video-to-video pipeline"},
          {"WanAnimatePipeline", "Wan2.2-Animate"},
          {"SkyReelsV2Pipeline", "SkyReels-V2"},
          {"SkyReelsV2ImageToVideoPipeline", "SkyReels-V2"},
          {"SkyReelsV2DiffusionForcingPipeline", "SkyReels-V2's diffusion forcing"},
          {"SkyReelsV2DiffusionForcingImageToVideoPipeline", "SkyReels-V2's diffusion forcing"},
          {"SkyReelsV2DiffusionForcingVideoToVideoPipeline", "SkyReels-V2's diffusion forcing"},
          {"WanVACETransformer3DModel", "VACE, for controlled generation"},
          {"VaceWanModel", "VACE, for controlled generation"},
          {"WanAnimateTransformer3DModel", "Wan2.2-Animate"},
          {"WanAnimateModel", "Wan2.2-Animate"},
          {"WanModel_S2V", "Wan2.2-S2V"},
          {"SkyReelsV2Transformer3DModel", "SkyReels-V2"}};
}

}  // namespace

const VideoFamily& wan_family() {
  static const VideoFamily family{.class_names = {"WanTransformer3DModel", "WanModel"},
                                  .recognises = recognises,
                                  .read_config = read_config,
                                  .load = load,
                                  .file_fit = transformer_file_fit,
                                  .layout = layout,
                                  .pipelines = {"WanPipeline", "WanImageToVideoPipeline"},
                                  .image_pipelines = {"WanImageToVideoPipeline"},
                                  .not_supported = beyond_wan(),
                                  .sizes = {{"1.3B", TransformerConfig()},
                                            {"14B", wan_14b()},
                                            {"I2V-14B", with_image_encoder(with_images(wan_14b()))},
                                            {"A14B", wan_14b(), 0.875},
                                            {"I2V-A14B", with_images(wan_14b()), 0.9},
                                            {"TI2V-5B", wan_5b(), 0, /*expand_timesteps=*/true}}};
  return family;
}

}  // namespace moga
