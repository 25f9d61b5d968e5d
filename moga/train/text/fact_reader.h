// Reads the facts of a caption (data/story/facts.h) from its encoded text tokens: each fact has its own query, which
// attends to the tokens and is classified.
//
//   logits_f = W_f · concat_h softmax(q_{f,h} · K_h x / √D) V_h x
//
// It has a single layer, as the text attention of a video transformer does, so the encoder itself must combine the
// words that belong together. It is discarded after training.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "moga/data/story/facts.h"
#include "moga/model/layers/linear.h"

namespace moga {

class FactReaderImpl : public torch::nn::Module {
 public:
  FactReaderImpl(int64_t width, int64_t heads, const std::vector<FactKind>& kinds);

  // text [B, L, width], lengths int64 [B] → logits [B, facts, most classes] float32; classes a fact does not have: -inf
  at::Tensor forward(const at::Tensor& text, const at::Tensor& lengths);

 private:
  int64_t heads_;
  at::Tensor queries_;  // [facts, width]
  Linear k_{nullptr}, v_{nullptr};
  at::Tensor classifier_;  // [facts, width, most classes]
  at::Tensor absent_;      // bool [facts, most classes]
};
TORCH_MODULE(FactReader);

}  // namespace moga
