// See captions.h.
#include "moga/model/text/captions.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "moga/core/check.h"

namespace moga {
namespace {

constexpr const char* kSpace = " \t\r\n";

// Where the words of a text end, 0 first: beginnings of 0, 1, 2, … words.
std::vector<size_t> word_ends(const std::string& text) {
  std::vector<size_t> ends{0};
  for (size_t begin = text.find_first_not_of(kSpace); begin != std::string::npos;) {
    const size_t end = std::min(text.find_first_of(kSpace, begin), text.size());
    ends.push_back(end);
    begin = text.find_first_not_of(kSpace, end);
  }
  return ends;
}

std::string joined(const std::string& global, const std::string& own) {
  return global.find_first_not_of(kSpace) == std::string::npos ? own : global + " " + own;
}

// The longest prefix of `text` in whole words for which fits(prefix) is true; more words take more text tokens.
template <class Fits>
std::string longest_beginning(const std::string& text, const Fits& fits) {
  const std::vector<size_t> ends = word_ends(text);
  size_t least = 0, most = ends.size() - 1;
  while (least < most) {
    const size_t middle = (least + most + 1) / 2;
    if (fits(text.substr(0, ends[middle])))
      least = middle;
    else
      most = middle - 1;
  }
  return text.substr(0, ends[least]);
}

// "…three last words"
std::string last_words(const std::string& text) {
  const std::vector<size_t> ends = word_ends(text);
  const std::string words = ends.size() <= 4 ? text : "..." + text.substr(ends[ends.size() - 4]);
  return "\"" + words + "\"";
}

}  // namespace

FittedCaption fit_caption(const Tokenizer& tokenizer, const std::string& global, const std::string& own,
                          int64_t text_len) {
  const auto tokens = [&](const std::string& text) { return static_cast<int64_t>(tokenizer.encode(text).size()); };
  const std::string whole = joined(global, own);
  if (tokens(whole) <= text_len) return {whole, ""};
  const std::string note =
      std::to_string(tokens(whole)) + " text tokens, the model reads " + std::to_string(text_len) + ": ";
  if (tokens(own) > text_len) {
    const std::string read = longest_beginning(own, [&](const std::string& text) { return tokens(text) <= text_len; });
    return {own, note + "the text is cut after " + last_words(read) +
                     (whole == own ? "" : ", and the global caption is left out")};
  }
  const std::string kept = longest_beginning(
      global, [&](const std::string& beginning) { return tokens(joined(beginning, own)) <= text_len; });
  return {joined(kept, own), note + (kept.empty() ? "the global caption is left out"
                                                  : "the global caption is cut after " + last_words(kept))};
}

at::Tensor encode_captions(TextEncoder& encoder, const Tokenizer& tokenizer, const std::vector<std::string>& captions,
                           int64_t text_len, at::ScalarType dtype) {
  check(!captions.empty(), "no captions to encode");
  check(tokenizer.vocab_size() <= encoder->config().vocab_size, "the tokenizer has ", tokenizer.vocab_size(),
        " pieces, the text encoder knows ", encoder->config().vocab_size);
  std::map<std::string, int64_t> row_of;
  std::vector<std::string> distinct;
  std::vector<int64_t> rows;  // index of each caption among the distinct ones
  for (const std::string& caption : captions) {
    const auto [found, fresh] = row_of.try_emplace(caption, static_cast<int64_t>(distinct.size()));
    if (fresh) distinct.push_back(caption);
    rows.push_back(found->second);
  }

  const TokenBatch batch = tokenizer.encode_batch(distinct, text_len);
  const auto longest = batch.lengths.max().item<int64_t>();  // still on the host; padding beyond it need not be encoded
  const at::Device device = encoder->parameters().front().device();
  const at::Tensor text = encoder->forward(batch.ids.narrow(1, 0, longest).to(device), batch.lengths.to(device), dtype);
  const at::Tensor padded = at::constant_pad_nd(text, {0, 0, 0, text_len - longest});  // [distinct, text_len, d_model]
  return padded.index_select(0, at::tensor(rows, at::kLong).to(device));
}

}  // namespace moga
