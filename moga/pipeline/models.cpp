// See models.h. Parts are checked for presence before any weight is read, since weights take long.
#include "moga/pipeline/models.h"

#include <algorithm>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/excerpt.h"
#include "moga/core/interrupt.h"
#include "moga/model/layers/file_fit.h"
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

// "wan.gguf": weights in a format that is not read; empty if there are none.
std::string foreign_weights(const std::filesystem::path& part) {
  if (!std::filesystem::is_directory(part)) return "";
  for (const auto& entry : std::filesystem::directory_iterator(part))
    for (const char* extension : {".gguf", ".bin", ".pth", ".pt", ".ckpt", ".msgpack", ".onnx"})
      if (entry.path().extension() == extension) return entry.path().filename().string();
  return "";
}

// Whether model_index.json names a second expert, or its folder is there.
bool has_second_expert(const std::filesystem::path& folder) {
  try {
    return load_model_index(folder).two_experts();
  } catch (const Error&) {  // said where the folder is loaded or described
    return std::filesystem::exists(folder / "transformer_2");
  }
}

// Whether there is one, and the pipeline is not text to video, which never asks it (load_model_index says so).
bool uses_image_encoder(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / "image_encoder")) return false;
  try {
    return load_model_index(folder).image_to_video.value_or(true);
  } catch (const Error&) {  // said where the folder is loaded or described
    return true;
  }
}

void check_folder(const std::filesystem::path& folder) {
  check(std::filesystem::is_directory(folder), folder.string(), ": no such folder; expected a model folder");
  if (const std::string advice = original_wan_advice(folder); !advice.empty()) fail(folder.string(), ": ", advice);
  load_model_index(folder);
}

void check_parts(const std::filesystem::path& folder) {
  check_folder(folder);
  std::string missing;
  for (const std::string& path : missing_parts(folder)) {
    missing += (missing.empty() ? "" : ", ") + path;
    if (!path.ends_with("/*.safetensors")) continue;
    const std::string foreign = foreign_weights((folder / path).parent_path());
    if (!foreign.empty()) missing += " (" + foreign + " is in a format that is not read, only safetensors are)";
  }
  check(missing.empty(), folder.string(), ": not a complete model folder; missing: ", missing);
}

// Whether a model of images can be given what it takes: a mask of the pixel frames that a latent frame stands for, and
// the codec's latents of the images.
void check_channels(const ModelConfigs& configs, const std::string& source) {
  const Conditioning wanted = configs.transformer->conditioning();
  const int64_t mask = configs.vae->strides().frames, latents = configs.vae->latent_channels();
  check(wanted.channels == 0 || wanted.channels == mask + latents, source, ": the transformer takes ", wanted.channels,
        " channels besides its latents, expected none (text to video) or ", mask, " + ", latents,
        " (image to video); other conditions, as of Fun-Control or camera models, are not supported");
}

void check_image_encoder(const ModelConfigs& configs, const std::string& source) {
  const Conditioning wanted = configs.transformer->conditioning();
  const bool encoder = configs.image_encoder.has_value();
  check(encoder == (wanted.image_dim > 0), source,
        encoder ? ": has an image_encoder, and the transformer no image_dim"
                : ": the transformer has image_dim, and there is no image_encoder");
  if (!encoder) return;
  check(configs.image_encoder->hidden_size == wanted.image_dim, source,
        ": image_encoder's hidden_size and transformer's ", "image_dim differ: ", configs.image_encoder->hidden_size,
        " and ", wanted.image_dim);
  const int64_t tokens = configs.image_encoder->tokens();
  check(wanted.image_tokens == 0 || wanted.image_tokens == 2 * tokens, source, ": transformer's pos_embed_seq_len is ",
        wanted.image_tokens, ", expected twice the image_encoder's tokens, ", 2 * tokens);
  check(configs.image_processor.crop == configs.image_encoder->image_size, source, ": image_processor's crop_size is ",
        configs.image_processor.crop, ", expected image_encoder's image_size, ", configs.image_encoder->image_size);
}

// Whether the second expert takes what the first one takes.
void check_experts(const VideoModelConfig& first, const VideoModelConfig& second, const std::string& source) {
  const Conditioning a = first.conditioning(), b = second.conditioning();
  check(first.latent_channels() == second.latent_channels() && a.channels == b.channels && a.text_dim == b.text_dim &&
            a.text_tokens == b.text_tokens && a.image_dim == b.image_dim && first.patch() == second.patch(),
        source, ": transformer and transformer_2 differ in channels, patch or text, expected two experts of one model");
}

// Whether the parts fit each other.
void check_fit(const ModelConfigs& configs, const ModelIndex& index, const std::filesystem::path& folder) {
  const auto fits = [&](int64_t found, int64_t expected, const char* text) {
    check(found == expected, folder.string(), ": ", text, ": ", found, " and ", expected);
  };
  const VideoModelConfig& transformer = *configs.transformer;
  check_channels(configs, folder.string());
  const bool images = transformer.conditioning().channels > 0;
  check(!index.image_to_video || *index.image_to_video == images || index.expand_timesteps, folder.string(),
        ": model_index.json says ",
        images ? "text to video, and the transformer takes images"
               : "image to video, and the transformer takes no image");
  check(!index.expand_timesteps || !images, folder.string(), ": model_index.json says expand_timesteps, and the ",
        "transformer takes images as ", transformer.conditioning().channels, " channels, expected one or the other");
  check_image_encoder(configs, folder.string());
  if (configs.transformer_2) check_experts(transformer, *configs.transformer_2, folder.string());
  fits(configs.vae->latent_channels(), transformer.latent_channels(),
       "vae's z_dim and transformer's latent channels differ");
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
    check(
        setting.starts_with("transformer.") || setting.starts_with("transformer_2.") || setting.starts_with("sampler."),
        source, ": setting '", excerpt(setting),
        "' belongs to no part; expected transformer.KEY=VALUE, transformer_2.KEY=VALUE ", "or sampler.KEY=VALUE");
}

// What belongs to the second of two experts is an error in a model of one.
void check_expert_settings(const std::vector<std::string>& settings, bool two_experts, const std::string& source) {
  for (const std::string& setting : settings)
    check(two_experts || !(setting.starts_with("transformer_2.") || setting.starts_with("sampler.guidance_2=")), source,
          ": setting '", excerpt(setting), "' is for a model of two experts, this one has no transformer_2");
}

// Those of both experts, then those of the second alone.
std::vector<std::string> settings_of_second(const std::vector<std::string>& settings) {
  std::vector<std::string> all = settings_of("transformer", settings);
  for (const std::string& setting : settings_of("transformer_2", settings)) all.push_back(setting);
  return all;
}

// Whether every file fits its config.json: a bad one is refused before the weights of any part are read.
void check_files(const std::filesystem::path& folder, const ModelConfigs& configs,
                 const std::vector<std::string>& settings, const LoadWays& ways) {
  if (ways.text_encoder) check_file_fit(text_encoder_file_fit(folder / "text_encoder"));
  check_file_fit(video_model_file_fit(folder / "transformer", settings_of("transformer", settings)));
  if (configs.transformer_2)
    check_file_fit(video_model_file_fit(folder / "transformer_2", settings_of_second(settings)));
  check_file_fit(codec_file_fit(folder / "vae"));
  if (configs.image_encoder) check_file_fit(image_encoder_file_fit(folder / "image_encoder"));
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
  const auto has = [&](const char* file) { return std::filesystem::exists(folder / file); };
  if (!has("Wan2.1_VAE.pth") && !has("Wan2.2_VAE.pth")) return "";
  return "an original Wan repository, its VAE and text encoder are pickles; tools/convert_wan.py makes a model "
         "folder "
         "of it";
}

std::vector<std::string> missing_parts(const std::filesystem::path& folder) {
  std::vector<std::string> missing;
  std::vector<std::string> parts = {"text_encoder", "transformer", "vae"};
  if (has_second_expert(folder)) parts.push_back("transformer_2");
  if (uses_image_encoder(folder)) parts.push_back("image_encoder");
  for (const char* file : {"tokenizer/spiece.model", "scheduler/scheduler_config.json"})
    if (!std::filesystem::exists(folder / file)) missing.push_back(file);
  for (const std::string& part : parts)
    if (!std::filesystem::exists(folder / part / "config.json")) missing.push_back(part + "/config.json");
  for (const std::string& part : parts)
    if (!holds_weights(folder / part)) missing.push_back(part + "/*.safetensors");
  return missing;
}

ModelConfigs load_model_configs(const std::filesystem::path& folder) {
  check_folder(folder);
  const ModelIndex index = load_model_index(folder);
  ModelConfigs configs{load_video_model_config(folder / "transformer" / "config.json"),
                       load_text_encoder_config(folder / "text_encoder" / "config.json"),
                       load_codec_config(folder / "vae" / "config.json"),
                       load_sampler_config(folder / "scheduler" / "scheduler_config.json")};
  if (index.two_experts()) {
    configs.transformer_2 = load_video_model_config(folder / "transformer_2" / "config.json");
    configs.boundary_ratio = *index.boundary_ratio;
  }
  configs.expand_timesteps = index.expand_timesteps;
  if (uses_image_encoder(folder)) {
    configs.image_encoder = load_image_encoder_config(folder / "image_encoder" / "config.json");
    configs.image_processor = load_image_processor_config(folder / "image_processor" / "preprocessor_config.json");
  }
  check_fit(configs, index, folder);
  return configs;
}

void apply_settings(ModelConfigs& configs, const std::vector<std::string>& settings, const std::string& source) {
  check_settings(settings, source);
  check_expert_settings(settings, bool(configs.transformer_2), source);
  configs.transformer->apply(settings_of("transformer", settings), source);
  if (configs.transformer_2) configs.transformer_2->apply(settings_of_second(settings), source);
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
  const bool two = bool(configs.transformer_2);
  check_expert_settings(settings, two, kCommandLine);
  configs.transformer->apply(settings_of("transformer", settings), kCommandLine);
  if (two) configs.transformer_2->apply(settings_of_second(settings), kCommandLine);
  const Adapters adapters(ways.adapters, *configs.transformer, two ? LoraExpert::kHigh : LoraExpert::kEach);
  std::optional<Adapters> low_noise;
  if (two) low_noise.emplace(ways.adapters, *configs.transformer_2, LoraExpert::kLow);
  check_files(folder, configs, settings, ways);
  VideoModelLoad how{.device = device,
                     .dtype = dtype,
                     .settings = settings_of("transformer", settings),
                     .stream_blocks = ways.stream_weights,
                     .rest_on_host = two && ways.rest_experts.value_or(device.is_cuda()),
                     .adapt = adapters.adapt(device, dtype)};
  Models models{Tokenizer(folder / "tokenizer" / "spiece.model"),
                ways.text_encoder ? load_text_encoder(folder / "text_encoder", device, dtype) : TextEncoder(nullptr),
                load_video_model(folder / "transformer", how),
                load_codec(folder / "vae", device, ways.vae_dtype.value_or(default_vae_dtype(device, dtype))),
                configs.sampler,
                device,
                dtype};
  if (two) {
    how.settings = settings_of_second(settings);
    how.adapt = low_noise->adapt(device, dtype);
    models.transformer_2 = load_video_model(folder / "transformer_2", how);
    models.boundary = 1000.0 * configs.boundary_ratio;
  }
  if (configs.image_encoder) models.image_encoder = load_image_encoder(folder / "image_encoder", device);
  models.image_processor = configs.image_processor;
  models.expand_timesteps = configs.expand_timesteps;
  apply_to_sampler(models.sampler, settings_of("sampler", settings), kCommandLine);
  if (models.text_encoder) models.text_encoder->eval();
  for (const VideoModelPtr& expert : models.experts()) {
    if (ways.eight_bit == EightBitProducts::kMultiply) use_8_bit_products(*expert);
    expert->eval();
  }
  models.vae->eval();
  if (device.is_cuda()) models.vae->store_channels_last();
  return models;
}

}  // namespace moga
