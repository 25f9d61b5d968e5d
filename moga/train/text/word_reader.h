// Finds hidden text tokens of a caption from their encoded rows: logits = W x. For captions whose facts are not known,
// those of prepared films. It is discarded after training.
#pragma once

#include <ATen/core/Generator.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "moga/model/layers/linear.h"
#include "moga/model/text/tokenizer.h"

namespace moga {

class WordReaderImpl : public torch::nn::Module {
 public:
  WordReaderImpl(int64_t width, int64_t vocabulary);
  // [N, width] → [N, vocabulary] float32
  at::Tensor forward(const at::Tensor& rows);

 private:
  Linear words_{nullptr};
};
TORCH_MODULE(WordReader);

// Hides about 15 % of the text tokens, at least one per caption and never its end: they become the unknown piece.
// Returns bool [B, L], which are hidden. `random` is a generator of the CPU, where the tokens are.
at::Tensor hide_words(TokenBatch& tokens, at::Generator random);

}  // namespace moga
