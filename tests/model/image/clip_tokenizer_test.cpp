// Ids equal those of transformers' CLIPTokenizer on odd texts (tools/make_fixtures_films.py).
#include "moga/model/image/clip_tokenizer.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "moga/core/files.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

const std::filesystem::path kTokenFilms = MOGA_FILM_FIXTURES;

// MOGA_CLIP_TOKENIZER: a folder with the published vocabulary and a tokens.json for it.
TEST(ClipTokenizer, EqualsTransformers) {
  const char* published = std::getenv("MOGA_CLIP_TOKENIZER");
  const std::filesystem::path folder = published ? published : kTokenFilms / "models/clip-vit-base-patch32";
  const std::filesystem::path cases = published ? folder / "tokens.json" : kTokenFilms / "tokens.json";
  const ClipTokenizer tokenizer(folder);
  const auto json = nlohmann::json::parse(read_text(cases));
  EXPECT_GE(json.at("cases").size(), 300u);
  for (const auto& item : json.at("cases"))
    EXPECT_EQ(tokenizer.encode(item[0]), item[1].get<std::vector<int64_t>>()) << item[0];
}

TEST(ClipTokenizer, BytesThatAreNotUtf8AreOneCharacterEach) {
  const ClipTokenizer tokenizer(kTokenFilms / "models/clip-vit-base-patch32");
  EXPECT_EQ(tokenizer.encode("hat \xff\xc3 hat"), tokenizer.encode("hat \uFFFD\uFFFD hat"));
}

TEST(ClipTokenizer, NamesWhatIsWrongWithItsFiles) {
  const test::Folder folder;
  const auto error = [&] { return test::error_of([&] { ClipTokenizer tokenizer(folder.path()); }); };
  EXPECT_NE(error().find("vocab.json"), std::string::npos);
  write_text(folder / "vocab.json", R"({"a": 0, "<|startoftext|>": 1})");
  EXPECT_NE(error().find("no token <|endoftext|>"), std::string::npos);
  write_text(folder / "vocab.json", R"({"a": 0, "<|startoftext|>": 1, "<|endoftext|>": 2})");
  EXPECT_NE(error().find("merges.txt"), std::string::npos);
  write_text(folder / "merges.txt", "#version: 0.2\na b\nab\n");
  EXPECT_NE(error().find(R"("ab", expected two pieces)"), std::string::npos);
}

}  // namespace
}  // namespace moga
