// Tokenizer: ids and cleaning equal to Python's, batches cut and padded as transformers does, training reproducible.
#include "moga/model/text/tokenizer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "moga/core/files.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

const nlohmann::json& fixture() {
  static const nlohmann::json json = nlohmann::json::parse(read_text(MOGA_FIXTURES "/tokenizer.json"));
  return json;
}

Tokenizer tokenizer() { return Tokenizer(MOGA_FIXTURES); }

std::vector<std::string> captions() {
  std::vector<std::string> texts;
  for (const char* colour : {"red", "blue", "green", "yellow"})
    for (const char* person : {"Ada", "Bo", "Cleo"})
      texts.push_back(std::string(person) + " wears a " + colour + " hat and walks in the park.");
  return texts;
}

TEST(Tokenizer, EncodesAsPythonsSentencepiece) {
  for (const auto& entry : fixture().at("encode")) {
    const std::string text = entry.at("text");
    EXPECT_EQ(tokenizer().encode(text), entry.at("ids").get<std::vector<int64_t>>()) << text;
  }
}

TEST(Tokenizer, CleansAsTheReference) {
  for (const auto& entry : fixture().at("clean")) {
    const std::string text = entry.at("text");
    EXPECT_EQ(clean_text(text), entry.at("cleaned").get<std::string>()) << text;
  }
}

TEST(Tokenizer, ReplacesBytesThatAreNotUtf8) {
  EXPECT_EQ(clean_text("a\xFF!"), "a\uFFFD!");
  EXPECT_EQ(clean_text("a\xE2\x82"), "a\uFFFD");                // cut short
  EXPECT_EQ(clean_text("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate
  EXPECT_EQ(clean_text("\xC0\xAF"), "\uFFFD\uFFFD");            // overlong
}

TEST(Tokenizer, BatchesArePaddedWithZeroAndCutBeforeTheEnd) {
  const std::string text = "Ada wears a red hat and green trousers.";
  const std::vector<int64_t> ids = tokenizer().encode(text);
  const TokenBatch batch = tokenizer().encode_batch({text, "", "night"}, 4);
  EXPECT_TRUE(at::equal(batch.ids[0], at::tensor({ids[0], ids[1], ids[2], int64_t{1}})));
  EXPECT_TRUE(at::equal(batch.ids[1], at::tensor({1, 0, 0, 0}, at::kLong)));
  EXPECT_TRUE(at::equal(batch.lengths, at::tensor({4, 1, 2}, at::kLong)));
}

TEST(Tokenizer, RefusesFilesThatAreNoModel) {
  const test::Folder folder;
  const auto error = [](const std::filesystem::path& path) { return test::error_of([&] { Tokenizer{path}; }); };
  const std::string absent = (folder / "absent.model").string(), model = (folder / "spiece.model").string();
  EXPECT_EQ(error(absent), absent + ": no such tokenizer file (a sentencepiece model)");
  EXPECT_EQ(error(folder.path()), model + ": no such tokenizer file (a sentencepiece model)");
  write_text(model, "not a model");
  EXPECT_EQ(error(folder.path()), model + ": not a sentencepiece model; is the download damaged?");
}

TEST(TrainTokenizer, GivesT5sIdsAndKnowsItsCaptions) {
  const test::Folder folder;
  train_tokenizer(captions(), 60, folder / "spiece.model");
  const Tokenizer trained(folder.path());
  EXPECT_LE(trained.vocab_size(), 60);
  EXPECT_EQ(trained.encode(""), (std::vector<int64_t>{1}));
  const std::vector<int64_t> unknown = trained.encode("東");
  EXPECT_EQ(unknown[unknown.size() - 2], 2);
  for (const std::string& caption : captions())
    for (const int64_t id : trained.encode(caption)) EXPECT_TRUE(id == 1 || id > 2);
}

TEST(TrainTokenizer, IsReproducible) {
  const test::Folder folder;
  train_tokenizer(captions(), 60, folder / "a.model");
  train_tokenizer(captions(), 60, folder / "b.model");
  EXPECT_EQ(read_text(folder / "a.model"), read_text(folder / "b.model"));
}

TEST(TrainTokenizer, RefusesTooLittle) {
  const test::Folder folder;
  const auto error = [&](const std::vector<std::string>& texts, int64_t vocab_size) {
    return test::error_of([&] { train_tokenizer(texts, vocab_size, folder / "a.model"); });
  };
  EXPECT_EQ(error({}, 60), "tokenizer: no text to train from");
  EXPECT_EQ(error({" ", "\n"}, 60), "tokenizer: no text to train from");
  EXPECT_EQ(error(captions(), 5)
                .find("tokenizer: cannot train 5 pieces from 12 texts: Vocabulary size is smaller than "
                      "required_chars. 5 vs 26"),
            0u);
  EXPECT_EQ(error(captions(), -1), "tokenizer: vocab_size = -1: expected at least 1");
}

}  // namespace
}  // namespace moga
