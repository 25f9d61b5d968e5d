// Hidden words of captions, and training of a text encoder on captions of prepared films.
#include "moga/train/text/word_reader.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/log.h"
#include "moga/core/random.h"
#include "moga/data/films/prepared.h"
#include "moga/train/text/task.h"
#include "tests/support/error.h"
#include "tests/train/prepared.h"

namespace moga {
namespace {

TEST(WordReader, HidesWordsAndNeverTheEnd) {
  TokenBatch tokens = {at::arange(10, 210).view({10, 20}), at::full({10}, 12)};
  tokens.lengths[3] = 2;  // a word and the end
  const at::Tensor before = tokens.ids.clone();
  const at::Tensor hidden = hide_words(tokens, random_stream(1, "hidden"));
  EXPECT_FALSE(hidden.slice(1, 11).any().item<bool>());
  EXPECT_TRUE(hidden.any(1).all().item<bool>());
  EXPECT_TRUE(hidden[3][0].item<bool>());
  EXPECT_EQ(hidden[3].sum().item<int64_t>(), 1);
  EXPECT_LT(hidden.sum().item<int64_t>(), 50);
  EXPECT_TRUE(at::equal(tokens.ids, before.masked_fill(hidden, 2)));
}

TextTrainConfig film_text(const test::Folder& folder, const std::string& run) {
  set_quiet(true);
  TextTrainConfig config;
  config.out = (folder / run).string();
  config.data = (folder / "films").string();
  config.device = "cpu";
  config.tokenizer = (folder / "spiece.model").string();
  config.steps = 60;
  config.batch = 8;
  config.lr = 1e-2;
  config.schedule.warmup_steps = 5;
  config.held_out = 16;
  config.measure_every = 1000;
  config.model = {.vocab_size = 64, .d_model = 32, .d_kv = 8, .d_ff = 48, .num_layers = 1, .num_heads = 4};
  return config;
}

void prepare(const test::Folder& folder) {
  train_tokenizer(captions_of(read_prepared_films(test::prepared_folder(folder)).samples), 40, folder / "spiece.model");
}

TEST(WordReader, TrainsAnEncoderOnCaptionsOfFilms) {
  const test::Folder folder;
  prepare(folder);
  const TextTrainResult result = train_text(film_text(folder, "run"));
  EXPECT_EQ(result.end, TrainEnd::done);
  EXPECT_GT(result.accuracy.at("hidden words"), 0.5);  // the most frequent piece is far below
  EXPECT_TRUE(std::filesystem::exists(folder / "run/model/config.json"));
}

TEST(WordReader, AResumedRunGivesTheSameModel) {
  const test::Folder folder;
  prepare(folder);
  TextTrainConfig config = film_text(folder, "whole");
  config.steps = 6;
  train_text(config);
  config.out = (folder / "parts").string();
  {
    TextTask task(config);
    ASSERT_EQ(Trainer(task, loop_config(config)).run(3), TrainEnd::interrupted);
  }
  train_text(config, "auto");
  EXPECT_EQ(read_text(folder / "parts/model/model.safetensors"), read_text(folder / "whole/model/model.safetensors"));
}

}  // namespace
}  // namespace moga
