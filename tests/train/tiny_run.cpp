// A training run small enough for a test. See tiny_run.h.
#include "tests/train/tiny_run.h"

#include <ATen/ATen.h>

#include "moga/core/random.h"
#include "moga/data/dataset/shards.h"
#include "moga/model/text/tokenizer.h"

namespace moga::test {
namespace {

std::vector<std::string> tiny_captions() {
  std::vector<std::string> captions;
  for (const char* colour : {"red", "green", "blue", "yellow"})
    for (const char* action : {"walks", "waves", "jumps", "turns", "stands"})
      for (const char* place : {"by the lake", "in the town", "on the hill"})
        captions.push_back(std::string("Mara in a ") + colour + " hat " + action + " " + place);
  return captions;
}

}  // namespace

const Folder& tiny_data() {
  static const Folder folder;
  static const bool made = [] {
    const std::vector<std::string> captions = tiny_captions();
    train_tokenizer(captions, 60, folder / "spiece.model");
    ShardWriter writer(folder / "shards", 4);
    for (int64_t i = 0; i < 10; ++i) {
      const int64_t columns = i % 2 ? 4 : 6;
      writer.add({.latent = at::randn({4, 3, 4, columns}, random_stream(7, "tiny latent", i), at::kFloat),
                  .shot_frames = {1, 2},
                  .captions = {captions[2 * i], captions[2 * i + 1]}});
    }
    writer.finish();
    return true;
  }();
  (void)made;
  return folder;
}

TransformerConfig& wan_of(TrainConfig& config) { return dynamic_cast<TransformerConfig&>(*config.transformer); }
const TransformerConfig& wan_of(const TrainConfig& config) {
  return dynamic_cast<const TransformerConfig&>(*config.transformer);
}

TrainConfig tiny_config(const std::filesystem::path& out) {
  TrainConfig config;
  config.out = out.string();
  config.device = "cpu";
  config.tokenizer = (tiny_data() / "spiece.model").string();
  config.log_every = 2;
  TransformerConfig& transformer = wan_of(config);
  transformer.num_attention_heads = 2;
  transformer.attention_head_dim = 12;
  transformer.in_channels = transformer.out_channels = 4;
  transformer.text_dim = transformer.freq_dim = 16;
  transformer.ffn_dim = 48;
  transformer.num_layers = 2;
  transformer.text_len = 12;
  transformer.moga.groups = 2;
  transformer.moga.windows = {.rows = 1, .columns = 2, .run_frames = 2, .boundary_frames = 1};
  config.text_encoder = {.vocab_size = 64, .d_model = 16, .d_kv = 8, .d_ff = 32, .num_layers = 1, .num_heads = 2};
  StageConfig stage;
  stage.data = (tiny_data() / "shards").string();
  stage.steps = 6;
  stage.batch = 4;
  stage.lr = 2e-3;
  stage.schedule.warmup_steps = 2;
  config.stage = {stage};
  return config;
}

}  // namespace moga::test
