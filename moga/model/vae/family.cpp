// See family.h. A config without `_class_name` is one that was saved before it was written.
#include "moga/model/vae/family.h"

#include <nlohmann/json.hpp>

#include "moga/core/safetensors.h"
#include "moga/model/layers/file_fit.h"
#include "moga/model/vae/names.h"
#include "moga/model/vae/vae.h"

namespace moga {
namespace {

using Path = std::filesystem::path;

bool recognises(const nlohmann::json& config) { return config.contains("base_dim") && config.contains("z_dim"); }

Cloned<CodecConfig> read_config(const Path& config_json) { return load_vae_config(config_json); }

CodecPtr load(const Path& folder, c10::Device device, c10::ScalarType dtype) {
  return load_vae(folder, device, dtype).ptr();
}

WeightLayout layout(const Path& folder) { return detect_vae_layout(Safetensors(folder).names(), folder.string()); }

}  // namespace

const CodecFamily& wan_vae_family() {
  static const CodecFamily family{.class_names = {"AutoencoderKLWan"},
                                  .recognises = recognises,
                                  .read_config = read_config,
                                  .load = load,
                                  .file_fit = vae_file_fit,
                                  .layout = layout,
                                  .published = {VaeConfig(), wan22_vae_config()}};
  return family;
}

}  // namespace moga
