// See word_reader.h.
#include "moga/train/text/word_reader.h"

#include <ATen/ATen.h>

namespace moga {
namespace {

constexpr double kHidden = 0.15;
constexpr int64_t kUnknown = 2;  // T5's unk

}  // namespace

WordReaderImpl::WordReaderImpl(int64_t width, int64_t vocabulary)
    : words_(register_module("words", Linear(width, vocabulary))) {
  words_->fill_xavier();
}

at::Tensor WordReaderImpl::forward(const at::Tensor& rows) { return words_(rows).to(at::kFloat); }

at::Tensor hide_words(TokenBatch& tokens, at::Generator random) {
  const at::Tensor scores = at::rand(tokens.ids.sizes(), random, at::TensorOptions(at::kFloat));
  const at::Tensor words = at::arange(tokens.ids.size(1)) < (tokens.lengths - 1).unsqueeze(1);
  const at::Tensor lowest = std::get<0>(scores.masked_fill(words.logical_not(), 2).min(1, /*keepdim=*/true));
  const at::Tensor hidden = words & ((scores < kHidden) | (scores == lowest));
  tokens.ids = tokens.ids.masked_fill(hidden, kUnknown);
  return hidden;
}

}  // namespace moga
