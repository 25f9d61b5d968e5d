// A transformer in a folder: config.json and diffusion_pytorch_model.safetensors, in Wan2.1's or diffusers' names.
//
// Reading is strict: a config key or a tensor that is not understood and would change the result is an error, before
// any weight is read or allocated. A key that a config lacks has the default of the program that wrote it.
#include <nlohmann/json.hpp>

#include <array>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/foreign_keys.h"
#include "moga/core/json_text.h"
#include "moga/core/module_io.h"
#include "moga/core/shapes_only.h"
#include "moga/model/layers/file_fit.h"
#include "moga/model/layers/kept_precision.h"
#include "moga/model/layers/scaled_weights.h"
#include "moga/model/load_weights.h"
#include "moga/model/wan/transformer.h"

namespace moga {
namespace {

constexpr const char* kWeightsFile = "diffusion_pytorch_model.safetensors";

// Of diffusers' WanTransformer3DModel and of the original's WanModel. rope_max_seq_len bounds the positions that
// diffusers prepares; ours are computed for any length.
constexpr std::array kForeignKeys = {
    ForeignKey{"rope_max_seq_len"},
    ForeignKey{"model_type", R"("t2v")", "another kind of video model"},
    ForeignKey{"window_size", "[-1, -1]", "a model of local attention"},
    ForeignKey{"inject_sample_info", "false", "SkyReels-V2's diffusion forcing"},
    ForeignKey{"vace_layers", "null", "VACE, for controlled generation"},
    ForeignKey{"vace_in_channels", "null", "VACE, for controlled generation"},
    ForeignKey{"vace_in_dim", "null", "VACE, for controlled generation"},
    ForeignKey{"add_ref_conv", "false", "Fun-Control, with a reference image"},
    ForeignKey{"add_control_adapter", "false", "Fun-Control, with a camera"},
};

// model_type of the original → the keys of the image encoder, unless the config has them: Wan2.2's image-to-video
// models have none and the same model_type (tools/convert_wan.py writes null). "ti2v" is a model of text and images,
// too.
void rename_wan_type(nlohmann::json& config, const std::string& source) {
  constexpr int64_t kVitWidth = 1280, kVitTokens = 257;
  const auto type = config.find("model_type");
  if (type == config.end() || (*type != "i2v" && *type != "flf2v" && *type != "ti2v")) return;
  if (*type != "ti2v" && !config.contains("image_dim")) {
    config["image_dim"] = kVitWidth;
    config["added_kv_proj_dim"] = whole_number(config, "dim", 1, source);
    if (*type == "flf2v") config["pos_embed_seq_len"] = 2 * kVitTokens;
  }
  config.erase("model_type");
}

// Wan2.1's own config.json under diffusers' keys, with the original's defaults.
void rename_wan_keys(nlohmann::json& config, const std::string& source) {
  const int64_t width = whole_number(config, "dim", 1, source), heads = whole_number(config, "num_heads", 1, source);
  check(width % heads == 0, source, ": dim = ", width, " is not a multiple of num_heads = ", heads);
  config["num_attention_heads"] = heads;
  config["attention_head_dim"] = width / heads;
  for (const auto& [key, ours] : {std::pair{"in_dim", "in_channels"}, {"out_dim", "out_channels"}}) {
    if (config.contains(key)) config[ours] = config[key];
    config.erase(key);
  }
  if (const auto norms = config.find("qk_norm"); norms != config.end() && !norms->is_null()) {
    check(norms->is_boolean(), source, ": qk_norm: expected true or false, found ", printable(norms->dump()));
    config["qk_norm"] = *norms ? "rms_norm_across_heads" : "";
  }
  rename_wan_type(config, source);
  config.erase("dim");
  config.erase("num_heads");
  for (const auto& [key, value] : {std::pair{"ffn_dim", 8192}, {"num_layers", 32}})
    if (!config.contains(key) || config[key].is_null()) config[key] = value;
}

// What diffusers means by null, and by a key that its config lacks.
void complete_diffusers_keys(nlohmann::json& config, bool foreign) {
  if (config.contains("out_channels") && config["out_channels"].is_null() && config.contains("in_channels"))
    config["out_channels"] = config["in_channels"];
  // diffusers writes null for a model without norms of queries and keys; elsewhere null is the default.
  if (config.contains("qk_norm") && config["qk_norm"].is_null()) config["qk_norm"] = "";
  if (!foreign) return;
  for (const auto& [key, value] : {std::pair{"num_attention_heads", 40}, {"ffn_dim", 13824}, {"num_layers", 40}})
    if (!config.contains(key) || config[key].is_null()) config[key] = value;
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
  // The router of a layer that the settings make a full one. diffusers leaves norm_added_q unused, too.
  options.harmless = {kRouterPart, "norm_added_q", "rope.freqs"};
  return options;
}

FileFit fit_of(const TransformerConfig& config, const Safetensors& file, const LoadOptions& options) {
  return scaled_file_fit(*shapes_of<Transformer>(config, /*initialise=*/false), file, options);
}

TransformerConfig config_with(const std::vector<std::string>& settings, const std::filesystem::path& folder) {
  TransformerConfig config = load_transformer_config(folder / "config.json");
  apply_overrides(config, settings);
  return config;
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

std::string TransformerImpl::name_in(WeightLayout layout, const std::string& name) const {
  return file_name(name, layout);
}

void TransformerConfig::read_tree(const config_detail::Node& table, const config_detail::Source& source) {
  config_detail::Reader(table, source).read(table, *this);
}

config_detail::Node TransformerConfig::tree() const { return config_detail::tree_of(*this); }

at::ScalarType TransformerImpl::kept_dtype(const std::string& name, at::ScalarType dtype) const {
  return moga::kept_dtype(name, dtype);
}

TransformerConfig load_transformer_config(const std::filesystem::path& path) {
  const std::string source = path.string();
  auto config = parse_json_object(read_text(path, kMostConfigBytes), source);
  const bool wan = config.contains("dim") && config.contains("num_heads"), foreign = !config.contains("moga");
  if (wan)
    rename_wan_keys(config, source);
  else
    complete_diffusers_keys(config, foreign);
  erase_foreign_keys(config, kForeignKeys, source);
  if (foreign) config["moga"] = {{"kind", "full"}};  // Wan2.1 and diffusers have only this kind
  return parse_json<TransformerConfig>(config.dump(2), source);
}

Transformer load_transformer(const std::filesystem::path& folder, const VideoModelLoad& how) {
  const Safetensors file(folder);
  const LoadOptions options = load_options(file, folder);
  const TransformerConfig config = config_with(how.settings, folder);
  check_file_fit(fit_of(config, file, options));
  Transformer model(config, /*initialise=*/false);
  load_weights(*model, file, options, how, folder.string());
  return model;
}

FileFit transformer_file_fit(const std::filesystem::path& folder, const std::vector<std::string>& settings) {
  const Safetensors file(folder);
  return fit_of(config_with(settings, folder), file, load_options(file, folder));
}

void TransformerImpl::save(const std::filesystem::path& folder, at::ScalarType dtype, WeightLayout layout) const {
  TensorMap tensors;
  const auto dtype_of = [&](const std::string& name) { return kept_dtype(name, dtype); };
  for (const auto& [name, tensor] : saved_tensors(*this, dtype_of))
    tensors[name == "scaled_fp8" ? name : file_name(name, layout)] = tensor;
  save_safetensors(folder / kWeightsFile, tensors, {{"format", "pt"}});
  TransformerConfig config = config_;
  config.moga.backend =
      AttentionBackend::kAuto;  // independent of the training machine's backend, which others may not have
  write_text(folder / "config.json", config_text(config));
}

void save_transformer(const std::filesystem::path& folder, const Transformer& model, at::ScalarType dtype,
                      WeightLayout layout) {
  model->save(folder, dtype, layout);
}

}  // namespace moga
