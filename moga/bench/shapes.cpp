// See shapes.h.
#include "moga/bench/shapes.h"

#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/model/registry.h"

namespace moga {

NamedModel named_model(const std::string& name) {
  NamedModel named;
  if (const VideoFamily::Size* published = published_size(name)) {
    named.model = published->config;
    named.boundary_ratio = published->boundary_ratio;
    named.expand_timesteps = published->expand_timesteps;
    if (published->config->conditioning().image_dim > 0) named.image_encoder = vit_h_14();
  }
  const std::filesystem::path path = name;
  const bool folder = std::filesystem::is_directory(path);
  if (!named.model) {
    const std::filesystem::path config = folder ? path / "transformer/config.json" : path;
    check(std::filesystem::is_regular_file(config), "model '", name, "' is unknown: expected ", size_names(),
          ", a config.json or a model folder");
    named.model = load_video_model_config(config);
  }
  const std::filesystem::path codec = path / "vae/config.json";
  named.codec = folder && std::filesystem::exists(codec) ? load_codec_config(codec) : published_codec(*named.model);
  return named;
}

nlohmann::ordered_json video_sizes(const VideoShape& video) {
  return {{"tokens", video.tokens()},
          {"frames", video.frames},
          {"rows", video.rows},
          {"columns", video.columns},
          {"shots", video.shots()}};
}

nlohmann::ordered_json attention_sizes(const VisualAttentionConfig& attention) {
  const WindowConfig& windows = attention.windows;
  return {{"groups", attention.groups},
          {"windows", std::to_string(windows.rows) + "x" + std::to_string(windows.columns)},
          {"run_frames", windows.run_frames},
          {"boundary_frames", windows.boundary_frames}};
}

}  // namespace moga
