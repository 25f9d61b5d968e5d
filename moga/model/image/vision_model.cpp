// See vision_model.h.
#include "moga/model/image/vision_model.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/model/image/pretrained_keys.h"
#include "moga/model/layers/load_module.h"

namespace moga {
namespace {

// Below this the transformer is a child of the module; ViT and DINOv2 have no such level in their files.
constexpr std::string_view kTower = "vision_model.";

// The keys of ImageEncoderConfig out of a config of any family, with the defaults of the family.
ImageEncoderConfig transformer_config(nlohmann::json config, VisionFamily family, const std::string& source) {
  const auto otherwise = [&](const char* key, const nlohmann::json& value) {
    if (!config.contains(key)) config[key] = value;
  };
  if (family != VisionFamily::kClip) {
    otherwise("hidden_act", "gelu");
    otherwise("patch_size", family == VisionFamily::kVit ? 16 : 14);
    otherwise("layer_norm_eps", family == VisionFamily::kVit ? 1e-12 : 1e-6);
  }
  if (family == VisionFamily::kDinov2) {
    otherwise("mlp_ratio", 4);
    otherwise("hidden_size", 768);
    const double hidden = number_member(config, "mlp_ratio", source) *
                          static_cast<double>(whole_number(config, "hidden_size", 1, source));
    check(hidden >= 1 && hidden <= 1e9, source, ": mlp_ratio × hidden_size is ", hidden);
    config["intermediate_size"] = static_cast<int64_t>(hidden);
    config.erase("mlp_ratio");
  }
  erase_foreign_keys(config, kPretrainedKeys, source);
  return parse_json<ImageEncoderConfig>(config.dump(2), source);
}

VisionModelConfig clip_config(const nlohmann::json& file, const std::string& source) {
  VisionModelConfig config{.family = VisionFamily::kClip, .transformer = {}, .projection = 512};
  if (file.contains("projection_dim")) config.projection = whole_number(file, "projection_dim", 1, source);
  const bool whole = file.contains("vision_config");
  if (whole) check(file["vision_config"].is_object(), source, ": vision_config is not an object");
  config.transformer = transformer_config(whole ? file["vision_config"] : file, VisionFamily::kClip, source);
  return config;
}

// Names in the file of the module's names: with a prefix ("dinov2.") or without.
LoadOptions load_options(const Safetensors& file, VisionFamily family) {
  LoadOptions options;
  // CLIP's text half and its scale; DINO's pooler and DINOv2's mask, which only training uses.
  options.harmless = {"text_model.",  "text_projection.", "logit_scale",
                      "position_ids", "pooler.",          "embeddings.mask_token"};
  if (family == VisionFamily::kClip) return options;
  const std::string prefix = family == VisionFamily::kVit ? "vit." : "dinov2.";
  const std::vector<std::string> names = file.names();
  const bool prefixed = std::ranges::any_of(names, [&](const std::string& name) { return name.starts_with(prefix); });
  options.file_name_of = [prefix = prefixed ? prefix : ""](const std::string& name) {
    return prefix + name.substr(kTower.size());
  };
  return options;
}

}  // namespace

VisionModelConfig load_vision_model_config(const std::filesystem::path& path) {
  const std::string source = path.string();
  const nlohmann::json file = parse_json_object(read_text(path, kMostConfigBytes), source);
  const std::string type = text_member(file, "model_type", source);
  if (type == "clip" || type == "clip_vision_model") return clip_config(file, source);
  check(type == "vit" || type == "dinov2", source, ": model_type ", quoted(type),
        ", expected \"clip\", \"clip_vision_model\", \"vit\" or \"dinov2\"");
  const VisionFamily family = choice<VisionFamily>("model_type", type);
  return {.family = family, .transformer = transformer_config(file, family, source), .projection = 0};
}

VisionModelImpl::VisionModelImpl(const VisionModelConfig& config)
    : config_(config),
      transformer_(
          register_module("vision_model", std::make_shared<VisionTransformerImpl>(config.transformer, config.family))) {
  if (config.projection > 0)
    projection_ =
        register_tensor(*this, "visual_projection.weight", {config.projection, config.transformer.hidden_size});
}

at::Tensor VisionModelImpl::forward(const at::Tensor& pixels) {
  const at::Tensor token = transformer_->class_token(pixels);
  return projection_.defined() ? at::linear(token, projection_) : token;
}

VisionModel load_vision_model(const std::filesystem::path& folder, at::Device device) {
  const VisionModelConfig config = load_vision_model_config(folder / "config.json");
  const Safetensors file(folder);
  return load_module<VisionModel>(config, file, load_options(file, config.family), device);
}

}  // namespace moga
