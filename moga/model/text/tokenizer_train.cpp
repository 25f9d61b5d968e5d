// Training of a tokenizer: sentencepiece's byte-pair merges over cleaned captions. One thread and no sampling, so that
// the same captions give the same model, bit for bit. Its unigram trainer, T5's own, seeds pieces from substrings that
// two different words share; captions of a few hundred words then never get whole words (measured on stories: 98 text
// tokens at the 99th percentile against 49).
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <unordered_map>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/model/text/tokenizer.h"

namespace moga {
namespace {

class Sentences : public sentencepiece::SentenceIterator {
 public:
  explicit Sentences(const std::vector<std::string>& sentences) : sentences_(sentences) {}
  bool done() const override { return next_ >= sentences_.size(); }
  void Next() override { ++next_; }
  const std::string& value() const override { return sentences_[next_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::vector<std::string>& sentences_;
  size_t next_ = 0;
};

// "Internal: ./src/file.cc(580) [condition] What is wrong." → "What is wrong."
std::string reason(const std::string& status) {
  const size_t end = status.rfind("] ");
  return end == std::string::npos ? status : status.substr(end + 2);
}

}  // namespace

void train_tokenizer(const std::vector<std::string>& texts, int64_t vocab_size, const std::filesystem::path& model) {
  std::vector<std::string> sentences;
  for (const std::string& text : texts)
    if (std::string cleaned = clean_text(text); !cleaned.empty()) sentences.push_back(std::move(cleaned));
  check(!sentences.empty(), "tokenizer: no text to train from");
  const auto by_size = [](const std::string& a, const std::string& b) { return a.size() < b.size(); };
  const size_t longest = std::max_element(sentences.begin(), sentences.end(), by_size)->size();
  const size_t limit =
      std::max<size_t>(longest + 1, 1024);  // sentencepiece skips longer texts, so the limit covers all of them

  check(vocab_size > 0, "tokenizer: vocab_size = ", vocab_size, ": expected at least 1");
  const std::unordered_map<std::string, std::string> options = {{"model_type", "bpe"},
                                                                {"vocab_size", std::to_string(vocab_size)},
                                                                {"hard_vocab_limit", "false"},
                                                                {"character_coverage", "1.0"},
                                                                {"pad_id", "0"},
                                                                {"eos_id", "1"},
                                                                {"unk_id", "2"},
                                                                {"bos_id", "-1"},
                                                                {"num_threads", "1"},
                                                                {"max_sentence_length", std::to_string(limit)},
                                                                {"minloglevel", "2"}};
  Sentences iterator(sentences);
  std::string serialized;
  const auto status = sentencepiece::SentencePieceTrainer::Train(options, &iterator, &serialized);
  check(status.ok(), "tokenizer: cannot train ", vocab_size, " pieces from ", sentences.size(),
        " texts: ", reason(status.ToString()));
  write_text(model, serialized);
}

}  // namespace moga
