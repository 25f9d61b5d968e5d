// See models.h. Parts are checked for presence before any weight is read, since weights take long.
#include "moga/pipeline/models.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/core/json_text.h"
#include "moga/model/registry.h"

namespace moga {
namespace {

constexpr const char* kCommandLine = "command line";

bool holds_weights(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) return false;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors") return true;
  return false;
}

void check_folder(const std::filesystem::path& folder) {
  check(std::filesystem::is_directory(folder), folder.string(), ": no such folder; expected a model folder");
  if (const std::string advice = original_wan_advice(folder); !advice.empty()) fail(folder.string(), ": ", advice);
}

void check_parts(const std::filesystem::path& folder) {
  check_folder(folder);
  std::string missing;
  for (const std::string& part : missing_parts(folder)) missing += (missing.empty() ? "" : ", ") + part;
  check(missing.empty(), folder.string(), ": not a complete model folder; missing: ", missing);
}

void check_fit(const Models& models, const std::filesystem::path& folder) {
  const auto fits = [&](int64_t found, int64_t expected, const char* text) {
    check(found == expected, folder.string(), ": ", text, ": ", found, " and ", expected);
  };
  const VideoModelConfig& transformer = models.transformer->config();
  fits(models.vae->config().latent_channels(), transformer.latent_channels(),
       "vae's z_dim and transformer's in_channels differ");
  fits(models.text_encoder->config().d_model, transformer.conditioning().text_dim,
       "text_encoder's d_model and transformer's text_dim differ");
}

// The settings of one part, without the prefix "<part>.".
std::vector<std::string> settings_of(const std::string& part, const std::vector<std::string>& settings) {
  std::vector<std::string> result;
  for (const std::string& setting : settings)
    if (setting.starts_with(part + ".")) result.push_back(setting.substr(part.size() + 1));
  return result;
}

void check_settings(const std::vector<std::string>& settings, const std::string& source) {
  for (const std::string& setting : settings)
    check(setting.starts_with("transformer.") || setting.starts_with("sampler."), source, ": setting '", setting,
          "' belongs to no part; expected transformer.KEY=VALUE or sampler.KEY=VALUE");
}

// The model's own full_steps are a recommendation for its own steps.
void apply_to_sampler(SamplerConfig& config, const std::vector<std::string>& settings, const std::string& source) {
  const bool asked = std::ranges::any_of(settings, [](const auto& text) { return text.starts_with("full_steps="); });
  const int64_t own = config.full_steps;
  if (!asked) config.full_steps = 0;
  apply_overrides(config, settings, source);
  if (!asked) config.full_steps = std::min(own, config.steps);
}

// diffusers' UniPCMultistepScheduler covers many kinds of models and solvers; ours is the one that Wan2.1 uses.
void check_unipc(const nlohmann::json& json, const std::string& source) {
  const nlohmann::json served = {{"prediction_type", "flow_prediction"},
                                 {"use_flow_sigmas", true},
                                 {"solver_order", 2},
                                 {"solver_type", "bh2"},
                                 {"predict_x0", true},
                                 {"lower_order_final", true},
                                 {"final_sigmas_type", "zero"},
                                 {"num_train_timesteps", 1000},
                                 {"use_dynamic_shifting", false},
                                 {"shift_terminal", nullptr},
                                 {"thresholding", false},
                                 {"disable_corrector", nlohmann::json::array()}};
  for (const auto& [key, value] : served.items())
    check(!json.contains(key) || json[key] == value, source, ": ", key, " = ", json.value(key, value).dump(),
          " is not supported by unipc, only ", value.dump());
}

}  // namespace

std::string original_wan_advice(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / "Wan2.1_VAE.pth")) return "";
  return "an original Wan2.1 repository, its VAE and text encoder are pickles; tools/convert_wan.py makes a model "
         "folder "
         "of it";
}

std::vector<std::string> missing_parts(const std::filesystem::path& folder) {
  std::vector<std::string> missing;
  for (const char* part : {"tokenizer/spiece.model", "text_encoder/config.json", "transformer/config.json",
                           "vae/config.json", "scheduler/scheduler_config.json"})
    if (!std::filesystem::exists(folder / part)) missing.push_back(part);
  for (const char* part : {"text_encoder", "transformer", "vae"})
    if (!holds_weights(folder / part)) missing.push_back(std::string(part) + "/*.safetensors");
  return missing;
}

SamplerConfig load_sampler_config(const std::filesystem::path& path) {
  SamplerConfig config = load_json<SamplerConfig>(path, /*ignore_unknown=*/true);
  const std::string source = path.string();
  const auto json = parse_json_object(read_text(path, kMostConfigBytes), source);
  if (json.contains("flow_shift") && !json["flow_shift"].is_null())
    config.shift = number_member(json, "flow_shift", source);
  const std::string scheduler = json.contains("_class_name") ? text_member(json, "_class_name", source) : "";
  const bool unipc = scheduler == "UniPCMultistepScheduler", euler = scheduler == "FlowMatchEulerDiscreteScheduler";
  check(unipc || euler || scheduler.empty(), path.string(), ": _class_name = ", scheduler,
        ", expected UniPCMultistepScheduler or FlowMatchEulerDiscreteScheduler");
  if (euler && !json.contains("solver")) config.solver = SolverKind::kEuler;
  if (unipc) check_unipc(json, path.string());
  // Written by diffusers, which rounds the model's timesteps for UniPC.
  if (!json.contains("whole_timesteps")) config.whole_timesteps = unipc;
  return config;
}

ModelConfigs load_model_configs(const std::filesystem::path& folder) {
  check_folder(folder);
  return {load_video_model_config(folder / "transformer" / "config.json"),
          load_json<TextEncoderConfig>(folder / "text_encoder" / "config.json", /*ignore_unknown=*/true),
          load_codec_config(folder / "vae" / "config.json"),
          load_sampler_config(folder / "scheduler" / "scheduler_config.json")};
}

void apply_settings(ModelConfigs& configs, const std::vector<std::string>& settings, const std::string& source) {
  check_settings(settings, source);
  configs.transformer->apply(settings_of("transformer", settings), source);
  apply_to_sampler(configs.sampler, settings_of("sampler", settings), source);
}

at::ScalarType default_vae_dtype(at::Device device, at::ScalarType dtype) {
  return device.is_cuda() ? dtype : at::kFloat;
}

Models load_models(const std::filesystem::path& folder, at::Device device, at::ScalarType dtype,
                   const std::vector<std::string>& settings, const LoadWays& ways) {
  const StopInside stop_inside;
  check_parts(folder);
  check_settings(settings, kCommandLine);
  Models models{Tokenizer(folder / "tokenizer" / "spiece.model"),
                load_text_encoder(folder / "text_encoder", device, dtype),
                load_video_model(folder / "transformer", {.device = device,
                                                          .dtype = dtype,
                                                          .settings = settings_of("transformer", settings),
                                                          .stream_blocks = ways.stream_weights}),
                load_codec(folder / "vae", device, ways.vae_dtype.value_or(default_vae_dtype(device, dtype))),
                load_sampler_config(folder / "scheduler" / "scheduler_config.json"),
                device,
                dtype};
  apply_to_sampler(models.sampler, settings_of("sampler", settings), kCommandLine);
  check_fit(models, folder);
  models.text_encoder->eval();
  models.transformer->eval();
  models.vae->eval();
  if (device.is_cuda()) models.vae->store_channels_last();
  return models;
}

}  // namespace moga
