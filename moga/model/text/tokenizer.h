// Converts text to ids with a sentencepiece model (spiece.model), as UMT5 does: cleaned text, pieces, then </s>.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace moga {

struct TokenBatch {
  at::Tensor ids;      // int64 [B, L], padded with the pad id
  at::Tensor lengths;  // int64 [B]
};

class Tokenizer {
 public:
  explicit Tokenizer(const std::filesystem::path& model);  // spiece.model, or the folder that contains it
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;

  std::vector<int64_t> encode(const std::string& text) const;                            // ends with </s>
  TokenBatch encode_batch(const std::vector<std::string>& texts, int64_t length) const;  // cut to `length`
  int64_t vocab_size() const;

 private:
  struct Model;
  std::unique_ptr<Model> model_;
};

// Cleans text as the reference does before encoding: unescapes HTML entities, straightens quotes, expands ligatures,
// removes control characters, composes letters and their marks (NFC), and collapses white space.
std::string clean_text(const std::string& text);

// Trains byte-pair pieces with T5's special tokens (pad 0, eos 1, unk 2) from captions.
void train_tokenizer(const std::vector<std::string>& texts, int64_t vocab_size, const std::filesystem::path& model);

}  // namespace moga
