// Reads the facts of a caption (data/story_facts.h) out of its encoded text tokens: each fact has a query of its own,
// which attends to the tokens and is classified.
//
//   logits_f = W_f · concat_h softmax(q_{f,h} · K_h x / √D) V_h x
//
// One layer and no more, as the text attention of a video transformer has: so the encoder itself must have put together
// what belongs together. Thrown away after the training.
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
