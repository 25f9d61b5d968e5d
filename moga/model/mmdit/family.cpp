// See family.h. A config without `_class_name` is never an MMDiT's: it is always written.
#include "moga/model/mmdit/family.h"

#include <nlohmann/json.hpp>

#include "moga/model/mmdit/transformer.h"

namespace moga {
namespace {

using Path = std::filesystem::path;

bool recognises(const nlohmann::json&) { return false; }
Cloned<VideoModelConfig> read_config(const Path& config_json) { return load_mmdit_config(config_json); }
VideoModelPtr load(const Path& folder, const VideoModelLoad& how) { return load_mmdit(folder, how).ptr(); }
WeightLayout layout(const Path&) { return WeightLayout::kWan; }  // there is one set of names

}  // namespace

const VideoFamily& mmdit_family() {
  static const VideoFamily family{.class_names = {"MogaMMDiTTransformer3DModel"},
                                  .recognises = recognises,
                                  .read_config = read_config,
                                  .load = load,
                                  .file_fit = mmdit_file_fit,
                                  .layout = layout,
                                  .pipelines = {"MogaMMDiTPipeline"},
                                  .image_pipelines = {},
                                  .not_supported = {},
                                  .sizes = {{"MMDiT-2B", MmditConfig()}}};
  return family;
}

}  // namespace moga
