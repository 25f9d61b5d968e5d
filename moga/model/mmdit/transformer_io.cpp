// An MMDiT in a folder: config.json and diffusion_pytorch_model.safetensors, with one set of names.
//
// Reading is strict: an unknown config key or tensor is an error, before any weight is read or allocated.
#include <nlohmann/json.hpp>

#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/core/module_io.h"
#include "moga/core/shapes_only.h"
#include "moga/model/layers/file_fit.h"
#include "moga/model/layers/kept_precision.h"
#include "moga/model/layers/scaled_weights.h"
#include "moga/model/load_weights.h"
#include "moga/model/mmdit/transformer.h"

namespace moga {
namespace {

constexpr const char* kWeightsFile = "diffusion_pytorch_model.safetensors";

// Routers may be missing, and left unused where the settings make their layer a full one.
LoadOptions load_options() { return {.file_name_of = {}, .optional = {kRouterPart}, .harmless = {kRouterPart}}; }

FileFit fit_of(const MmditConfig& config, const Safetensors& file) {
  return scaled_file_fit(*shapes_of<Mmdit>(config, /*initialise=*/false), file, load_options());
}

MmditConfig config_with(const std::vector<std::string>& settings, const std::filesystem::path& folder) {
  MmditConfig config = load_mmdit_config(folder / "config.json");
  apply_overrides(config, settings);
  return config;
}

// config.json with the class name first.
std::string config_text(const MmditConfig& config) {
  nlohmann::ordered_json json = {{"_class_name", config.class_name()}};
  json.update(nlohmann::ordered_json::parse(to_json(config)));
  return json.dump(2) + "\n";
}

}  // namespace

void MmditConfig::apply(const std::vector<std::string>& settings, const std::string& source) {
  apply_overrides(*this, settings, source);
}

void MmditConfig::read_tree(const config_detail::Node& table, const config_detail::Source& source) {
  config_detail::Reader(table, source).read(table, *this);
}

config_detail::Node MmditConfig::tree() const {
  using config_detail::Node;
  Node name;
  name.kind = Node::Kind::kString;
  name.text = class_name();
  name.help = "the model's family";
  Node table = config_detail::tree_of(*this);
  table.members.insert(table.members.begin(), Node::Member{"_class_name", name});
  return table;
}

at::ScalarType MmditImpl::kept_dtype(const std::string& name, at::ScalarType dtype) const {
  return moga::kept_dtype(name, dtype);
}

MmditConfig load_mmdit_config(const std::filesystem::path& path) {
  return parse_json<MmditConfig>(read_text(path, kMostConfigBytes), path.string());
}

Mmdit load_mmdit(const std::filesystem::path& folder, const VideoModelLoad& how) {
  const Safetensors file(folder);
  const MmditConfig config = config_with(how.settings, folder);
  check_file_fit(fit_of(config, file));
  Mmdit model(config, /*initialise=*/false);
  load_weights(*model, file, load_options(), how, folder.string());
  return model;
}

FileFit mmdit_file_fit(const std::filesystem::path& folder, const std::vector<std::string>& settings) {
  return fit_of(config_with(settings, folder), Safetensors(folder));
}

void MmditImpl::save(const std::filesystem::path& folder, at::ScalarType dtype, WeightLayout) const {
  const auto dtype_of = [&](const std::string& name) { return kept_dtype(name, dtype); };
  save_safetensors(folder / kWeightsFile, saved_tensors(*this, dtype_of), {{"format", "pt"}});
  MmditConfig config = config_;
  config.moga.backend =
      AttentionBackend::kAuto;  // independent of the training machine's backend, which others may not have
  write_text(folder / "config.json", config_text(config));
}

}  // namespace moga
