// Architecture from a model folder. See init_config.h.
#include "moga/train/video/init_config.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/model/model_index.h"
#include "moga/model/registry.h"
#include "moga/sampler/scheduler_file.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

template <class Config>
nlohmann::json json_of(const Config& config) {
  return nlohmann::json::parse(to_json(config));
}

bool has_moga(const nlohmann::json& transformer) { return transformer.at("moga").at("kind") == "moga"; }

// Empty without init.
fs::path transformer_config(const std::string& init) {
  return init.empty() ? fs::path() : fs::path(init) / "transformer" / "config.json";
}

// The finished model has these parts of init, unless the config names others.
void take_parts(TrainConfig& config, const fs::path& init) {
  if (fs::exists(init / "vae" / "config.json")) config.vae = (init / "vae").string();
  if (fs::exists(init / "tokenizer" / "spiece.model")) config.tokenizer = (init / "tokenizer").string();
}

// Without the keys that a run may choose by itself: branches may be switched off for ablations.
nlohmann::json architecture(nlohmann::json transformer, bool with_attention) {
  if (!with_attention) transformer.erase("moga");
  if (with_attention)
    for (const char* key : {"kind", "backend", "routed", "window", "frame"}) transformer["moga"].erase(key);
  return transformer;
}

void check_same(const nlohmann::json& found, const nlohmann::json& expected, const std::string& section,
                const std::string& init) {
  const nlohmann::json ours = found.flatten(), theirs = expected.flatten();
  for (const auto& [pointer, value] : theirs.items()) {
    std::string key = section + pointer;
    std::replace(key.begin(), key.end(), '/', '.');
    const std::string here = ours.contains(pointer) ? ours[pointer].dump() : "absent";
    check(here == value.dump(), key, " = ", here, ", but init ", init, " has ", value.dump(),
          "; remove the key, or start from another model");
  }
}

// The config that the model of init has once it takes the images that `ours` takes: the same one, except where a model
// of images starts from one of text alone.
Cloned<VideoModelConfig> with_condition(Cloned<VideoModelConfig> theirs, const TrainConfig& config) {
  const int64_t channels = config.transformer->conditioning().channels;
  if (channels == 0 || theirs->conditioning().channels > 0) return theirs;
  check(!config.lora.enabled(), "init ", config.init,
        " takes no images, and the config's model does: lora cannot train ",
        "the new input channels; train all weights first");
  const int64_t in_channels = theirs->latent_channels() + channels;  // the name is diffusers', in every family
  theirs->apply({"in_channels=" + std::to_string(in_channels)}, "init " + config.init);
  return theirs;
}

void check_index(const ModelIndex& index, const TrainConfig& config) {
  const int64_t channels = config.transformer->conditioning().channels;
  check(!index.two_experts(), "init ", config.init, " has two experts, which are trained one at a time: expected a ",
        "folder with one of them as transformer/, and a model_index.json without transformer_2 and boundary_ratio");
  check(!index.expand_timesteps || channels == 0, "init ", config.init,
        " is given frames (expand_timesteps), and the config's model takes images as ", channels,
        " channels, expected one or the other");
  check(!index.image_to_video.value_or(false) || index.expand_timesteps || channels > 0, "init ", config.init,
        " is made for image to video (model_index.json), and its transformer takes no images: expected in_channels of ",
        "latents, mask and condition");
}

}  // namespace

TrainConfig config_of_init(const std::string& init, const std::string& class_name) {
  TrainConfig config;
  config.transformer = default_video_model(class_name);
  if (!fs::exists(transformer_config(init))) return config;  // whoever loads the weights says so
  const Cloned<VideoModelConfig> defaults = config.transformer;
  config.transformer = load_video_model_config(transformer_config(init));
  const std::string found = config.transformer->class_name();
  check(class_name.empty() || found == defaults->class_name(), "transformer._class_name = ", class_name, ", but init ",
        init, " has ", found);
  if (config.transformer->attention().kind != AttentionKind::kMoga)
    config.transformer->attention() = defaults->attention();
  take_parts(config, init);
  if (const fs::path text = fs::path(init) / "text_encoder" / "config.json"; fs::exists(text))
    config.text_encoder = load_text_encoder_config(text);
  if (const fs::path file = fs::path(init) / "scheduler" / "scheduler_config.json"; fs::exists(file))
    config.samples.sampler = load_sampler_config(file);
  return config;
}

void check_fits_init(const TrainConfig& config) {
  if (!fs::exists(transformer_config(config.init))) return;
  check_index(load_model_index(config.init), config);
  const TrainConfig init = config_of_init(config.init);
  const nlohmann::json ours = json_of(config.transformer);
  const nlohmann::json theirs =
      json_of(with_condition(load_video_model_config(transformer_config(config.init)), config));
  const bool with_attention = has_moga(ours) && has_moga(theirs);
  check_same(architecture(ours, with_attention), architecture(theirs, with_attention), "transformer", config.init);
  const bool own_text = !config.text_encoder_init.empty() || config.text == TextSource::kStored;
  if (!own_text && fs::exists(fs::path(config.init) / "text_encoder"))
    check_same(json_of(config.text_encoder), json_of(init.text_encoder), "text_encoder", config.init);
}

}  // namespace moga
