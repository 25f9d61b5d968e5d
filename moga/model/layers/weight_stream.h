// Block weights that are stored in host memory and copied to the device only while they are used, for models that do
// not fit on the device next to their activations.
//
//   device buffers   0: block 0 │ block 2 │ block 4 …      while one block computes, the next is copied to the other
//                    1:      block 1 │ block 3 │ …         buffer on a stream of its own
//
// The parameters of even blocks are views of buffer 0, those of odd blocks of buffer 1, so a block needs no other code
// and computes the same bits. Inference only. The copy is hidden where a block computes longer than its bytes take to
// arrive.
#pragma once

#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <torch/nn/module.h>

#include <array>
#include <optional>
#include <vector>

#include "moga/model/layers/block_weights.h"

namespace moga {

class WeightStream : public BlockWeights {
 public:
  using Modules = std::vector<std::shared_ptr<torch::nn::Module>>;

  // Allocates host memory, pinned for a GPU, for the parameters of `blocks` in their shapes and dtypes; their values
  // are not kept. Fill them, then call start.
  WeightStream(const Modules& blocks, c10::Device device);
  // From here on the parameters are views of the device buffers. They hold a block's values from its enter() to that of
  // the next block but one.
  void start();

  bool resident() const override { return false; }
  bool trainable() const override { return false; }
  void enter(int64_t block, Pass pass) override;
  void leave(int64_t, Pass) override {}

  bool started() const { return slots_[0].bytes.defined(); }
  int64_t host_bytes() const { return host_.numel(); }

 private:
  struct Slot {
    at::Tensor bytes;  // uint8
    int64_t block = -1;
    std::optional<c10::Event> there;
  };
  struct Block {
    std::vector<at::Tensor> parameters;
    int64_t begin = 0, bytes = 0;  // in host_
  };

  Slot& slot_of(int64_t block) { return slots_[block % 2]; }
  void fetch(int64_t block);

  c10::Device device_;
  std::vector<Block> blocks_;
  at::Tensor host_;  // uint8, one block after the other
  std::array<Slot, 2> slots_;
  std::optional<c10::Stream> copies_;  // none on a CPU
  std::optional<c10::Event> computed_;
};

}  // namespace moga
