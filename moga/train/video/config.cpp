// Rules between the keys of a training config. See config.h.
#include "moga/train/video/config.h"

#include <regex>
#include <set>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/model/registry.h"
#include "moga/train/video/init_config.h"

namespace moga {

void StageConfig::validate() const {
  check(!name.empty(), "a stage has no name");
  check(!data.empty(), "stage '", name, "': data is empty, expected a folder of latent shards");
  check(steps > 0, "stage '", name, "': steps is ", steps, ", expected more than 0");
  check(videos() > 0, "stage '", name, "': batch is ", videos(), ", expected more than 0");
  check(tokens_per_batch >= 0, "stage '", name, "': tokens_per_batch is ", tokens_per_batch, ", expected 0 or more");
  check(tokens_per_batch == 0 || !batch, "stage '", name, "': both batch = ", videos(),
        " and tokens_per_batch = ", tokens_per_batch, " are given, expected one of them");
  check(accumulation > 0, "stage '", name, "': accumulation is ", accumulation, ", expected more than 0");
  check(tokens_per_batch > 0 || videos() % accumulation == 0, "stage '", name, "': accumulation is ", accumulation,
        ", expected a divisor of batch = ", videos());
  check(frames >= 0, "stage '", name, "': frames is ", frames, ", expected latent frames, or 0 for all");
  check(lr > 0, "stage '", name, "': lr is ", lr, ", expected more than 0");
}

void HeldOutConfig::validate() const {
  constexpr int64_t kMostTimes = 64;
  check(every >= 0, "held_out.every is ", every, ", expected train steps, or 0 for none");
  check(videos > 0, "held_out.videos is ", videos, ", expected more than 0");
  check(times > 0 && times <= kMostTimes, "held_out.times is ", times, ", expected 1 to ", kMostTimes);
  check(frames >= 0, "held_out.frames is ", frames, ", expected latent frames, or 0");
}

TrainConfig::TrainConfig() : transformer(default_video_model()) {}

int64_t TrainConfig::total_steps() const {
  int64_t total = 0;
  for (const StageConfig& one : stage) total += one.steps;
  return total;
}

void TrainConfig::validate() const {
  check(!stage.empty(), "no [[stage]]: nothing to train on");
  std::set<std::string> names;
  for (const StageConfig& one : stage) check(names.insert(one.name).second, "two stages are named '", one.name, "'");
  const bool encodes = text == TextSource::kEncoder;
  check(!encodes || !tokenizer.empty(), "tokenizer is empty, expected a sentencepiece model");
  check(encodes || !train_text_encoder,
        "text = \"stored\" keeps the text encoder as it is: train_text_encoder must be false");
  check(caption_dropout >= 0 && caption_dropout <= 1, "caption_dropout is ", caption_dropout, ", expected 0 to 1");
  check(!lora.enabled() || !init.empty(), "lora needs init, the model folder whose weights are frozen");
  check(!lora.enabled() || !encodes || !train_text_encoder,
        "lora trains the transformer alone: train_text_encoder must be false");
  parallel.validate();
  check(log_every > 0, "log_every is ", log_every, ", expected more than 0");
  check(checkpoint_every > 0, "checkpoint_every is ", checkpoint_every, ", expected more than 0");
  check(keep_checkpoints > 0, "keep_checkpoints is ", keep_checkpoints, ", expected more than 0");
  const int64_t text_dim = transformer->conditioning().text_dim;
  check(!encodes || text_dim == text_encoder.d_model, "transformer.text_dim is ", text_dim,
        ", expected text_encoder.d_model = ", text_encoder.d_model);
  check(!encodes || train_text_encoder || !init.empty() || !text_encoder_init.empty(),
        "train_text_encoder is off, init and text_encoder_init are empty: the text encoder would stay random");
  check(samples.every == 0 || !vae.empty(), "samples.every is ", samples.every, ": contact sheets need vae");
}

namespace {

// The text of a key before the config is read: the last setting's, else the file's; empty when neither has it.
std::string text_of(const std::string& key, const config_detail::Node& table, const std::string& prefix,
                    const std::vector<std::string>& settings) {
  std::string text;
  for (const auto& [name, value] : table.members)
    if (name == key) text = value.text;
  const std::string assigned = prefix + key + "=";
  for (const std::string& setting : settings)
    if (setting.starts_with(assigned)) text = setting.substr(assigned.size());
  return text;
}

// Which family the transformer is of; empty when the config does not say.
std::string class_of(const config_detail::Node& tree, const std::vector<std::string>& settings) {
  config_detail::Node transformer;
  for (const auto& [name, value] : tree.members)
    if (name == "transformer") transformer = value;
  return text_of("_class_name", transformer, "transformer.", settings);
}

TrainConfig read_over_init(const std::filesystem::path& path, const std::vector<std::string>& settings) {
  const config_detail::Node tree = config_detail::toml_tree(config_detail::read_config_text(path), path.string());
  const config_detail::Source source{path.string()};
  TrainConfig config = config_of_init(text_of("init", tree, "", settings), class_of(tree, settings));
  config_detail::Reader(tree, source).read(tree, config);
  return config;
}

}  // namespace

TrainConfig load_train_config(const std::filesystem::path& path, const std::vector<std::string>& settings) {
  TrainConfig config = read_over_init(path, settings);
  const std::regex of_stage(R"(stage\.([0-9]{1,6})\.(.*))");
  std::vector<std::string> others;
  for (const std::string& setting : settings) {
    std::smatch match;
    if (!std::regex_match(setting, match, of_stage)) {
      others.push_back(setting);
      continue;
    }
    const size_t index = std::stoul(match[1]);
    check(index < config.stage.size(), setting, ": ", path.string(), " has ", config.stage.size(), " stages");
    apply_override(config.stage[index], match[2]);
  }
  apply_overrides(config, others);
  for (StageConfig& stage : config.stage)  // the complete config says it
    if (stage.tokens_per_batch == 0) stage.batch = stage.videos();
  check_fits_init(config);
  return config;
}

}  // namespace moga
