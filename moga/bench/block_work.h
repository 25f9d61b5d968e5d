// A transformer block with random weights and inputs, as `moga bench block` runs it: ours, and the same function in
// plain operations over dense attention, which is the baseline. A family adds a class of its own and a line in
// block_work.cpp.
#pragma once

#include <memory>

#include "moga/model/video_model.h"

namespace moga {

class BlockWork {
 public:
  virtual ~BlockWork() = default;
  virtual void forward() = 0;           // without gradients
  virtual void forward_backward() = 0;  // gradients of x and of all weights
  virtual void plain_forward() = 0;     // the same in plain operations, with full attention
  virtual void plain_forward_backward() = 0;
};

// The first block of `model` over one video. Products run in `dtype`; norms, modulation and routers are float32, as
// loading keeps them. Throws for a model whose family has no block here.
std::unique_ptr<BlockWork> make_block_work(const VideoModelConfig& model, const VideoShape& video, c10::Device device,
                                           c10::ScalarType dtype);

}  // namespace moga
