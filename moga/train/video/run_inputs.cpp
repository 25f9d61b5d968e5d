// See run_inputs.h.
#include "moga/train/video/run_inputs.h"

#include "moga/core/check.h"
#include "moga/train/video/image_needs.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

void check_exists(const std::string& key, const fs::path& path, const std::string& expected) {
  check(fs::exists(path), key, ": ", path.string(), " does not exist, expected ", expected);
}

void check_shards(const std::string& data, const ImageNeeds& needs) {
  check_images(ShardDataset(data, /*open_shards=*/1).images(), needs, data);
}

}  // namespace

void check_init_exists(const TrainConfig& config) {
  if (!config.init.empty()) check_exists("init", fs::path(config.init) / "transformer/config.json", "a model folder");
}

void check_inputs(const TrainConfig& config) {
  check_init_exists(config);
  if (!config.text_encoder_init.empty())
    check_exists("text_encoder_init", fs::path(config.text_encoder_init) / "config.json", "a text encoder folder");
  if (!config.tokenizer.empty()) check_exists("tokenizer", config.tokenizer, "a sentencepiece model");
  if (!config.vae.empty()) check_exists("vae", fs::path(config.vae) / "config.json", "a VAE folder");
  const ImageNeeds needs = image_needs(config);
  for (const StageConfig& stage : config.stage) check_shards(stage.data, needs);
  if (config.samples.every > 0 && !config.samples.data.empty()) check_shards(config.samples.data, needs);
  if (config.held_out.every > 0 && !config.held_out.data.empty()) check_shards(config.held_out.data, needs);
}

}  // namespace moga
