// See tokenizer.h. Wraps the sentencepiece library.
#include "moga/model/text/tokenizer.h"

#include <ATen/ATen.h>
#include <sentencepiece_processor.h>

#include <algorithm>

#include "moga/core/check.h"

namespace moga {

struct Tokenizer::Model {
  sentencepiece::SentencePieceProcessor processor;
};

Tokenizer::Tokenizer(const std::filesystem::path& model) : model_(std::make_unique<Model>()) {
  const std::filesystem::path file = std::filesystem::is_directory(model) ? model / "spiece.model" : model;
  check(std::filesystem::is_regular_file(file), file.string(), ": no such tokenizer file (a sentencepiece model)");
  const auto status = model_->processor.Load(file.string());
  check(status.ok(), file.string(), ": not a sentencepiece model; is the download damaged?");
  check(model_->processor.pad_id() >= 0 && model_->processor.eos_id() >= 0, file.string(),
        ": needs ids for <pad> and </s>, has ", model_->processor.pad_id(), " and ", model_->processor.eos_id());
}

Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;

std::vector<int64_t> Tokenizer::encode(const std::string& text) const {
  std::vector<int> pieces;
  const auto status = model_->processor.Encode(clean_text(text), &pieces);
  check(status.ok(), "tokenizer: ", status.ToString());
  std::vector<int64_t> ids(pieces.begin(), pieces.end());
  ids.push_back(model_->processor.eos_id());
  return ids;
}

TokenBatch Tokenizer::encode_batch(const std::vector<std::string>& texts, int64_t length) const {
  check(length >= 1, "tokenizer: length ", length, " leaves no room for </s>");
  const auto count = static_cast<int64_t>(texts.size());
  TokenBatch batch{.ids = at::full({count, length}, model_->processor.pad_id(), at::kLong),
                   .lengths = at::empty({count}, at::kLong)};
  for (int64_t i = 0; i < count; ++i) {
    std::vector<int64_t> ids = encode(texts[i]);
    if (static_cast<int64_t>(ids.size()) > length) {
      ids.resize(length);
      ids.back() = model_->processor.eos_id();
    }
    std::copy(ids.begin(), ids.end(), batch.ids.data_ptr<int64_t>() + i * length);
    batch.lengths[i] = static_cast<int64_t>(ids.size());
  }
  return batch;
}

int64_t Tokenizer::vocab_size() const { return model_->processor.GetPieceSize(); }

}  // namespace moga
