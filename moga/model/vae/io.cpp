// A VAE in a folder: config.json and diffusion_pytorch_model.safetensors, in Wan's or diffusers' names.
#include <torch/types.h>

#include <array>
#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/foreign_keys.h"
#include "moga/core/json_text.h"
#include "moga/model/layers/load_module.h"
#include "moga/model/vae/names.h"
#include "moga/model/vae/vae.h"

namespace moga {
namespace {

// Of diffusers' AutoencoderKLWan: what follows from other keys. Each has to say what these do.
constexpr std::array kDerivedKeys = {"in_channels", "out_channels", "scale_factor_spatial", "scale_factor_temporal"};
// Published with Wan2.2's VAE and read by early versions only: frames are always clamped to [-1, 1].
constexpr std::array kForeignKeys = {ForeignKey{"clip_output"}};

// Values of kDerivedKeys.
std::array<int64_t, 4> derived_values(const VaeConfig& config) {
  const Strides strides = config.strides();
  return {config.pixel_channels(), config.pixel_channels(), strides.rows, strides.frames};
}

// Removes kDerivedKeys from a config.
nlohmann::json cut_derived(nlohmann::json& config) {
  nlohmann::json derived = nlohmann::json::object();
  for (const char* key : kDerivedKeys) {
    if (const auto found = config.find(key); found != config.end()) derived[key] = *found;
    config.erase(key);
  }
  return derived;
}

void check_derived(nlohmann::json derived, const VaeConfig& config, const std::string& source) {
  const std::array<int64_t, 4> values = derived_values(config);
  for (size_t i = 0; i < values.size(); ++i) {
    const std::string expected = std::to_string(values[i]);
    const ForeignKey key{kDerivedKeys[i], expected.c_str()};
    erase_foreign_keys(derived, {&key, 1}, source);
  }
}

// The statistics that diffusers gives a config without any.
constexpr std::array kPublishedMean = {-0.7571, -0.7089, -0.9113, 0.1075,  -0.1745, 0.9653,  -0.1517, 1.5508,
                                       0.4134,  -0.0715, 0.5517,  -0.3632, -0.1922, -0.9497, 0.2503,  -0.2921};
constexpr std::array kPublishedDeviation = {2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
                                            3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160};

LoadOptions load_options(const Safetensors& file, const std::filesystem::path& folder, const VaeConfig& config) {
  LoadOptions options;
  if (detect_vae_layout(file.names(), folder.string()) == WeightLayout::kDiffusers)
    options.file_name_of = [config](const std::string& name) { return diffusers_vae_name(name, config); };
  return options;
}

}  // namespace

VaeConfig load_vae_config(const std::filesystem::path& path) {
  const std::string source = path.string();
  nlohmann::json config = parse_json_object(read_text(path, kMostConfigBytes), source);
  erase_foreign_keys(config, kForeignKeys, source);
  const nlohmann::json derived = cut_derived(config);
  if (!config.contains("z_dim") || config["z_dim"] == static_cast<int64_t>(kPublishedMean.size()))
    for (const auto& [key, values] : {std::pair{"latents_mean", kPublishedMean}, {"latents_std", kPublishedDeviation}})
      if (!config.contains(key) || config[key].is_null()) config[key] = values;
  const VaeConfig result = parse_json<VaeConfig>(config.dump(2), source);
  check_derived(derived, result, source);
  return result;
}

Vae load_vae(const std::filesystem::path& folder, at::Device device, at::ScalarType dtype) {
  const Safetensors file(folder);
  const VaeConfig config = load_vae_config(folder / "config.json");
  return load_module<Vae>(config, file, load_options(file, folder, config), device, dtype);
}

FileFit vae_file_fit(const std::filesystem::path& folder) {
  const Safetensors file(folder);
  const VaeConfig config = load_vae_config(folder / "config.json");
  return module_file_fit<Vae>(config, file, load_options(file, folder, config));
}

void VaeImpl::save(const std::filesystem::path& folder, at::ScalarType dtype, WeightLayout layout) const {
  TensorMap tensors;
  for (const auto& [name, tensor] : named_tensors(*this)) {
    const bool rename = layout == WeightLayout::kDiffusers;
    tensors[rename ? diffusers_vae_name(name, config_) : name] = tensor.detach().to(dtype);
  }
  save_safetensors(folder / "diffusion_pytorch_model.safetensors", tensors, {{"format", "pt"}});
  nlohmann::ordered_json json = {{"_class_name", config_.class_name()}};
  json.update(nlohmann::ordered_json::parse(to_json(config_)));
  const std::array<int64_t, 4> derived = derived_values(config_);
  for (size_t i = 0; i < derived.size(); ++i) json[kDerivedKeys[i]] = derived[i];
  write_text(folder / "config.json", json.dump(2) + "\n");
}

void save_vae(const std::filesystem::path& folder, const Vae& model, at::ScalarType dtype, WeightLayout layout) {
  model->save(folder, dtype, layout);
}

}  // namespace moga
