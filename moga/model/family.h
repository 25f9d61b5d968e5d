// A family's entry in the registry: how its config.json is recognised and how a folder of it is read. Writing is
// VideoModel::save and Codec::save.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>
#include <nlohmann/json_fwd.hpp>

#include <functional>

#include "moga/core/module_io.h"
#include "moga/model/codec.h"
#include "moga/model/video_model.h"

namespace moga {

struct VideoModelLoad {
  c10::Device device;
  c10::ScalarType dtype;                   // of products; see VideoModel::kept_dtype
  std::vector<std::string> settings = {};  // over config.json: {"moga.kind=full", …}
  bool stream_blocks = false;              // VideoModel::stream_blocks
  bool rest_on_host = false;               // VideoModel::keep_on_host; with stream_blocks it has no effect
  // Changes the weights once they are read, before blocks are streamed (adapter/adapters.h). May be empty.
  std::function<void(VideoModel&)> adapt = {};
};

struct NamedMeaning {
  std::string name;
  std::string means;  // "an image-to-video model"
};

struct VideoFamily {
  using Path = std::filesystem::path;

  std::vector<std::string> class_names;              // `_class_name`s that it reads
  bool (*recognises)(const nlohmann::json& config);  // a config.json without `_class_name`
  Cloned<VideoModelConfig> (*read_config)(const Path& config_json);
  VideoModelPtr (*load)(const Path& folder, const VideoModelLoad& how);
  // Names and shapes alone, no weight is read. `settings` override config.json, as in VideoModelLoad.
  FileFit (*file_fit)(const Path& folder, const std::vector<std::string>& settings);
  WeightLayout (*layout)(const Path& folder);  // the names that its file uses
  // Names in model_index.json. The first pipeline is that of the models that are written.
  std::vector<std::string> pipelines;        // classes that run its models
  std::vector<std::string> image_pipelines;  // those of them whose models are given images
  std::vector<NamedMeaning> not_supported;   // pipelines, parts and settings that are refused, and what model has them
  struct Size {
    const char* name;  // "14B"
    Cloned<VideoModelConfig> config;
    double boundary_ratio = 0;      // of two experts of this config (model_index.h); 0: one
    bool expand_timesteps = false;  // likewise
  };
  std::vector<Size> sizes;  // published ones, for planning without a folder
};

struct CodecFamily {
  using Path = std::filesystem::path;

  std::vector<std::string> class_names;
  bool (*recognises)(const nlohmann::json& config);
  Cloned<CodecConfig> (*read_config)(const Path& config_json);
  CodecPtr (*load)(const Path& folder, c10::Device device, c10::ScalarType dtype);
  FileFit (*file_fit)(const Path& folder);
  WeightLayout (*layout)(const Path& folder);
  std::vector<Cloned<CodecConfig>> published;  // configs of its published weights
};

}  // namespace moga
