// CLIP's tokenizer: text → ids by byte pairs, from vocab.json and merges.txt. The ids of transformers' CLIPTokenizer:
// composed form (NFC), lower case, words, contractions, single digits and runs of other characters, each spelled in
// bytes and joined by the merges in the order of their ranks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_map>
#include <vector>

namespace moga {

class ClipTokenizer {
 public:
  // The folder that holds both files.
  explicit ClipTokenizer(const std::filesystem::path& folder);

  // With <|startoftext|> in front and <|endoftext|> at the end.
  std::vector<int64_t> encode(const std::string& text) const;
  int64_t end() const { return end_; }
  int64_t largest_id() const { return largest_; }

 private:
  void add_words(const std::string& text, std::vector<int64_t>& ids) const;
  void add_word(const std::string& bytes, std::vector<int64_t>& ids) const;

  std::unordered_map<std::string, int64_t> ids_, ranks_;  // of pieces; of "left right"
  int64_t start_ = 0, end_ = 0, largest_ = 0;
};

}  // namespace moga
