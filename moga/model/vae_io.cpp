// A VAE in a folder: config.json and diffusion_pytorch_model.safetensors, in Wan2.1's or diffusers' names.
#include <torch/types.h>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/log.h"
#include "moga/core/module_io.h"
#include "moga/model/vae.h"
#include "moga/model/vae_names.h"

namespace moga {

Vae load_vae(const std::filesystem::path& folder, at::Device device, at::ScalarType dtype) {
  const Safetensors file(folder);
  const WeightLayout layout = detect_vae_layout(file.names(), folder.string());
  Vae model(load_json<VaeConfig>(folder / "config.json", /*ignore_unknown=*/true));
  model->to(device, dtype);
  LoadOptions options;
  if (layout == WeightLayout::kDiffusers)
    options.file_name_of = [&](const std::string& name) { return diffusers_vae_name(name, model->config()); };
  const LoadReport report = load_parameters(*model, file, options);
  if (!report.unused.empty())
    log_info(folder.string(), ": ", report.unused.size(), " tensors not used, first ", report.unused.front());
  model->eval();
  return model;
}

void save_vae(const std::filesystem::path& folder, const Vae& model, at::ScalarType dtype, WeightLayout layout) {
  TensorMap tensors;
  for (const auto& [name, tensor] : named_tensors(*model)) {
    const bool rename = layout == WeightLayout::kDiffusers;
    tensors[rename ? diffusers_vae_name(name, model->config()) : name] = tensor.detach().to(dtype);
  }
  save_safetensors(folder / "diffusion_pytorch_model.safetensors", tensors, {{"format", "pt"}});
  write_text(folder / "config.json", to_json(model->config()));
}

}  // namespace moga
