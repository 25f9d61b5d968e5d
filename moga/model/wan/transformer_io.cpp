// A transformer in a folder: config.json and diffusion_pytorch_model.safetensors, in Wan2.1's or diffusers' names.
#include <nlohmann/json.hpp>

#include <algorithm>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/core/log.h"
#include "moga/core/module_io.h"
#include "moga/core/shapes_only.h"
#include "moga/model/layers/file_fit.h"
#include "moga/model/layers/kept_precision.h"
#include "moga/model/wan/transformer.h"

namespace moga {
namespace {

constexpr const char* kWeightsFile = "diffusion_pytorch_model.safetensors";

// Wan2.1's own config.json under diffusers' keys.
void rename_wan_keys(nlohmann::json& config, const std::string& source) {
  const int64_t width = whole_number(config, "dim", 1, source), heads = whole_number(config, "num_heads", 1, source);
  config["num_attention_heads"] = heads;
  config["attention_head_dim"] = width / heads;
  if (config.contains("in_dim")) config["in_channels"] = config["in_dim"];
  if (config.contains("out_dim")) config["out_channels"] = config["out_dim"];
  config.erase("qk_norm");  // a truth value there; always true
}

std::string file_name(const std::string& name, WeightLayout layout) {
  if (layout == WeightLayout::kWan) return name;
  const auto translated = diffusers_name(name);
  check(translated.has_value(), "no diffusers name for ", name);
  return *translated;
}

LoadOptions load_options(const Safetensors& file, const std::filesystem::path& folder) {
  LoadOptions options;
  const WeightLayout layout = detect_layout(file.names(), folder.string());
  options.file_name_of = [layout](const std::string& name) { return file_name(name, layout); };
  options.optional = {kRouterPart};
  return options;
}

// config.json with the class name first, as diffusers writes it.
std::string config_text(const TransformerConfig& config) {
  nlohmann::ordered_json json = {{"_class_name", config.class_name()}};
  json.update(nlohmann::ordered_json::parse(to_json(config)));
  return json.dump(2) + "\n";
}

}  // namespace

void TransformerConfig::apply(const std::vector<std::string>& settings, const std::string& source) {
  apply_overrides(*this, settings, source);
}

at::ScalarType TransformerImpl::kept_dtype(const std::string& name, at::ScalarType dtype) const {
  return moga::kept_dtype(name, dtype);
}

TransformerConfig load_transformer_config(const std::filesystem::path& path) {
  const std::string text = read_text(path, kMostConfigBytes);
  auto config = parse_json_object(text, path.string());
  // diffusers writes null for a model without norms of queries and keys; elsewhere null is the default.
  const bool no_norms = config.contains("qk_norm") && config["qk_norm"].is_null();
  if (no_norms) config["qk_norm"] = "";
  const bool wan = config.contains("dim") && config.contains("num_heads");
  const bool foreign = !config.contains("moga");
  if (!wan && !foreign && !no_norms)
    return parse_json<TransformerConfig>(text, path.string(), true);  // names lines in errors
  if (wan) rename_wan_keys(config, path.string());
  if (foreign) config["moga"] = {{"kind", "full"}};  // all that Wan2.1 and diffusers know
  return parse_json<TransformerConfig>(config.dump(2), path.string(), true);
}

Transformer load_transformer(const std::filesystem::path& folder, at::Device device, at::ScalarType dtype,
                             const std::vector<std::string>& settings, bool stream_blocks) {
  const Safetensors file(folder);
  const LoadOptions options = load_options(file, folder);
  TransformerConfig config = load_transformer_config(folder / "config.json");
  apply_overrides(config, settings);
  Transformer model(config, /*initialise=*/false);
  // Storage of the final dtype and device, before anything is written to it.
  for (const auto& item : model->named_parameters()) {
    const at::Device place = stream_blocks && item.key().starts_with("blocks.") ? at::kCPU : device;
    const auto storage = at::TensorOptions(place).dtype(moga::kept_dtype(item.key(), dtype));
    item.value().set_data(at::empty(item.value().sizes(), storage));
  }
  if (stream_blocks) model->keep_blocks_on_host(device);
  model->initialise_routers();

  const LoadReport report = load_parameters(*model, file, options);
  if (!report.kept.empty())
    log_info(folder.string(), ": no routers in the file, initialised at random (", report.kept.size(),
             " tensors); moga calibrate makes better ones");
  if (!report.unused.empty())
    log_info(folder.string(), ": ", report.unused.size(), " tensors not used, first ", report.unused.front());
  if (stream_blocks) model->stream_blocks();
  return model;
}

FileFit transformer_file_fit(const std::filesystem::path& folder) {
  const Safetensors file(folder);
  const LoadOptions options = load_options(file, folder);
  const TransformerConfig config = load_transformer_config(folder / "config.json");
  const ShapesOnly shapes_only;
  return file_fit(*Transformer(config, /*initialise=*/false), file, options);
}

void TransformerImpl::save(const std::filesystem::path& folder, at::ScalarType dtype, WeightLayout layout) const {
  TensorMap tensors;
  for (const auto& [name, tensor] : named_tensors(*this))
    tensors[file_name(name, layout)] = tensor.detach().to(kept_dtype(name, dtype));
  save_safetensors(folder / kWeightsFile, tensors, {{"format", "pt"}});
  TransformerConfig config = config_;
  config.moga.backend = AttentionBackend::kAuto;  // whatever it was trained with: another machine may not have it
  write_text(folder / "config.json", config_text(config));
}

void save_transformer(const std::filesystem::path& folder, const Transformer& model, at::ScalarType dtype,
                      WeightLayout layout) {
  model->save(folder, dtype, layout);
}

}  // namespace moga
