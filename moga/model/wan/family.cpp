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

VideoModelPtr load(const Path& folder, const VideoModelLoad& how) {
  return load_transformer(folder, how.device, how.dtype, how.settings, how.stream_blocks, how.adapt).ptr();
}

WeightLayout layout(const Path& folder) { return detect_layout(Safetensors(folder).names(), folder.string()); }

TransformerConfig wan_14b() {
  TransformerConfig config;
  config.num_attention_heads = 40;
  config.ffn_dim = 13824;
  config.num_layers = 40;
  return config;
}

// In a model_index.json of diffusers.
std::vector<NamedMeaning> beyond_wan21() {
  constexpr const char* kImageToVideo = "an image-to-video model";
  constexpr const char* kTwoExperts = "Wan2.2's two experts, only models of one transformer are supported";
  return {{"WanImageToVideoPipeline", kImageToVideo},
          {"WanVACEPipeline", "VACE, for controlled generation"},
          {"WanVideoToVideoPipeline", "a video-to-video pipeline"},
          {"WanAnimatePipeline", "Wan2.2-Animate"},
          {"SkyReelsV2Pipeline", "SkyReels-V2"},
          {"SkyReelsV2DiffusionForcingPipeline", "SkyReels-V2's diffusion forcing"},
          {"transformer_2", kTwoExperts},
          {"boundary_ratio", kTwoExperts},
          {"expand_timesteps", "Wan2.2-TI2V-5B, whose frames have timesteps of their own"},
          {"image_encoder", kImageToVideo},
          {"image_processor", kImageToVideo}};
}

}  // namespace

const VideoFamily& wan_family() {
  static const VideoFamily family{.class_names = {"WanTransformer3DModel", "WanModel"},
                                  .recognises = recognises,
                                  .read_config = read_config,
                                  .load = load,
                                  .file_fit = transformer_file_fit,
                                  .layout = layout,
                                  .pipelines = {"WanPipeline"},
                                  .not_supported = beyond_wan21(),
                                  .sizes = {{"1.3B", TransformerConfig()}, {"14B", wan_14b()}}};
  return family;
}

}  // namespace moga
