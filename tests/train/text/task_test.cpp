// The text encoder's training: it learns to read a fact from captions, is the same for the same seed, and video
// training begins from its result.
#include "moga/train/text/task.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/model/text/tokenizer.h"
#include "moga/train/video/train_models.h"
#include "tests/support/error.h"
#include "tests/train/tiny_run.h"

namespace moga {
namespace {

TextTrainConfig tiny_text(const test::Folder& folder) {
  std::vector<std::string> captions;
  for (uint64_t seed = 0; seed < 40; ++seed)
    for (std::string& caption : plan_story(seed, {}).captions()) captions.push_back(std::move(caption));
  train_tokenizer(captions, 150, folder / "spiece.model");
  TextTrainConfig config;
  config.out = (folder / "text").string();
  config.device = "cpu";
  config.tokenizer = (folder / "spiece.model").string();
  config.text_len = 96;
  config.steps = 40;
  config.batch = 16;
  config.lr = 5e-3;
  config.schedule.warmup_steps = 5;
  config.held_out = 64;
  config.measure_every = 1000;
  config.model = {.vocab_size = 160, .d_model = 32, .d_kv = 8, .d_ff = 48, .num_layers = 1, .num_heads = 4};
  return config;
}

TEST(TextTask, LearnsToReadWhatCaptionsTell) {
  const test::Folder folder;
  const TextTrainResult result = train_text(tiny_text(folder));
  EXPECT_EQ(result.end, TrainEnd::done);
  EXPECT_GT(result.accuracy.at("light"), 0.9);  // by chance 0.5
  EXPECT_GT(result.accuracy.at("place"), 0.6);  // by chance 0.17
}

TEST(TextTask, IsTheSameForTheSameSeed) {
  const test::Folder one, two;
  TextTrainConfig config = tiny_text(one), again = tiny_text(two);
  config.steps = again.steps = 3;
  train_text(config);
  train_text(again);
  const auto weights = [](const test::Folder& folder) {
    return load_text_encoder(folder / "text" / "model", at::kCPU, at::kFloat)->parameters();
  };
  const auto a = weights(one), b = weights(two);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i])) << i;
}

TEST(TextTask, VideoTrainingBeginsFromItsResult) {
  const test::Folder folder;
  TextTrainConfig text = tiny_text(folder);
  text.steps = 2;
  train_text(text);
  TrainConfig config = test::tiny_config(folder / "run");
  config.text_encoder = text.model;
  test::wan_of(config).text_dim = text.model.d_model;
  config.text_encoder_init = (folder / "text" / "model").string();
  const TextEncoder saved = load_text_encoder(config.text_encoder_init, at::kCPU, at::kFloat);
  const TrainModels models = make_models(config, at::kCPU);
  for (const auto& item : saved->named_parameters())
    EXPECT_TRUE(at::equal(item.value(), models.text_encoder->named_parameters()[item.key()])) << item.key();
}

TEST(TextTask, NamesWhatIsWrong) {
  TextTrainConfig config;
  EXPECT_EQ(test::error_of([&] { train_text(config); }), "tokenizer is empty, expected a sentencepiece model");
}

}  // namespace
}  // namespace moga
