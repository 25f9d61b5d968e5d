// A VAE in a folder: config.json and diffusion_pytorch_model.safetensors, in Wan2.1's or diffusers' names.
#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/log.h"
#include "moga/core/module_io.h"
#include "moga/core/shapes_only.h"
#include "moga/model/layers/file_fit.h"
#include "moga/model/vae/names.h"
#include "moga/model/vae/vae.h"

namespace moga {
namespace {

LoadOptions load_options(const Safetensors& file, const std::filesystem::path& folder, const VaeConfig& config) {
  LoadOptions options;
  if (detect_vae_layout(file.names(), folder.string()) == WeightLayout::kDiffusers)
    options.file_name_of = [config](const std::string& name) { return diffusers_vae_name(name, config); };
  return options;
}

VaeConfig load_vae_config(const std::filesystem::path& folder) {
  return load_json<VaeConfig>(folder / "config.json", /*ignore_unknown=*/true);
}

}  // namespace

Vae load_vae(const std::filesystem::path& folder, at::Device device, at::ScalarType dtype) {
  const Safetensors file(folder);
  const VaeConfig config = load_vae_config(folder);
  const LoadOptions options = load_options(file, folder, config);
  Vae model(config);
  model->to(device, dtype);
  const LoadReport report = load_parameters(*model, file, options);
  if (!report.unused.empty())
    log_info(folder.string(), ": ", report.unused.size(), " tensors not used, first ", report.unused.front());
  model->eval();
  return model;
}

FileFit vae_file_fit(const std::filesystem::path& folder) {
  const Safetensors file(folder);
  const VaeConfig config = load_vae_config(folder);
  const LoadOptions options = load_options(file, folder, config);
  const ShapesOnly shapes_only;
  return file_fit(*Vae(config), file, options);
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
  write_text(folder / "config.json", json.dump(2) + "\n");
}

void save_vae(const std::filesystem::path& folder, const Vae& model, at::ScalarType dtype, WeightLayout layout) {
  model->save(folder, dtype, layout);
}

}  // namespace moga
