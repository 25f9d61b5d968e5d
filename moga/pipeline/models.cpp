// See models.h. Parts are checked for presence before any weight is read, since weights take long.
#include "moga/pipeline/models.h"

#include <algorithm>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/interrupt.h"
#include "moga/model/model_index.h"
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
  check_model_index(folder);
}

void check_parts(const std::filesystem::path& folder) {
  check_folder(folder);
  std::string missing;
  for (const std::string& part : missing_parts(folder)) missing += (missing.empty() ? "" : ", ") + part;
  check(missing.empty(), folder.string(), ": not a complete model folder; missing: ", missing);
}

// Whether the parts fit each other.
void check_fit(const ModelConfigs& configs, const std::filesystem::path& folder) {
  const auto fits = [&](int64_t found, int64_t expected, const char* text) {
    check(found == expected, folder.string(), ": ", text, ": ", found, " and ", expected);
  };
  const VideoModelConfig& transformer = *configs.transformer;
  const ModelShape shape = transformer.shape();
  check(shape.patch_in == shape.patch_out, folder.string(), ": the transformer takes ", transformer.latent_channels(),
        " channels and makes another number: a model that is given a video (image to video, inpainting), only text to "
        "video is supported");
  fits(configs.vae->latent_channels(), transformer.latent_channels(),
       "vae's z_dim and transformer's in_channels differ");
  fits(configs.text_encoder.d_model, transformer.conditioning().text_dim,
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

// The model's own full_steps is a recommendation for its own number of steps.
void apply_to_sampler(SamplerConfig& config, const std::vector<std::string>& settings, const std::string& source) {
  const bool asked = std::ranges::any_of(settings, [](const auto& text) { return text.starts_with("full_steps="); });
  const int64_t own = config.full_steps;
  if (!asked) config.full_steps = 0;
  apply_overrides(config, settings, source);
  if (!asked) config.full_steps = std::min(own, config.steps);
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

ModelConfigs load_model_configs(const std::filesystem::path& folder) {
  check_folder(folder);
  ModelConfigs configs{load_video_model_config(folder / "transformer" / "config.json"),
                       load_text_encoder_config(folder / "text_encoder" / "config.json"),
                       load_codec_config(folder / "vae" / "config.json"),
                       load_sampler_config(folder / "scheduler" / "scheduler_config.json")};
  check_fit(configs, folder);
  return configs;
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
  ModelConfigs configs = load_model_configs(folder);
  configs.transformer->apply(settings_of("transformer", settings), kCommandLine);
  const Adapters adapters(ways.adapters, *configs.transformer);
  Models models{Tokenizer(folder / "tokenizer" / "spiece.model"),
                ways.text_encoder ? load_text_encoder(folder / "text_encoder", device, dtype) : TextEncoder(nullptr),
                load_video_model(folder / "transformer", {.device = device,
                                                          .dtype = dtype,
                                                          .settings = settings_of("transformer", settings),
                                                          .stream_blocks = ways.stream_weights,
                                                          .adapt = adapters.adapt(device, dtype)}),
                load_codec(folder / "vae", device, ways.vae_dtype.value_or(default_vae_dtype(device, dtype))),
                configs.sampler,
                device,
                dtype};
  apply_to_sampler(models.sampler, settings_of("sampler", settings), kCommandLine);
  if (ways.eight_bit == EightBitProducts::kMultiply) use_8_bit_products(*models.transformer);
  if (models.text_encoder) models.text_encoder->eval();
  models.transformer->eval();
  models.vae->eval();
  if (device.is_cuda()) models.vae->store_channels_last();
  return models;
}

}  // namespace moga
