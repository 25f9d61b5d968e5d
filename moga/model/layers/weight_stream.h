// Blocks' weights that lie in host memory and are on the device only while they are used: for models that do not fit
// beside their activations.
//
//   device buffers   0: block 0 │ block 2 │ block 4 …      while a block computes, the one after it is copied into the
//                    1:      block 1 │ block 3 │ …         other buffer, on a stream of its own
//
// The parameters of even blocks are views of buffer 0, of odd ones of buffer 1, so a block needs no other code, and
// gives the same bits. Inference only. Copying is hidden where a block computes longer than its bytes take from the host.
#pragma once

#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <torch/nn/module.h>

#include <array>
#include <optional>
#include <vector>

namespace moga {

class WeightStream {
 public:
  using Modules = std::vector<std::shared_ptr<torch::nn::Module>>;

  // Gives the parameters of `blocks` host memory, pinned for a GPU, of the shapes and dtypes that they have; their values
  // are not kept. Fill them, then start.
  WeightStream(const Modules& blocks, c10::Device device);
  // From here on the parameters are views of the device's buffers, with a block's values between its enter() and that of
  // the block after the next.
  void start();
  // Before block i computes on the current stream, which must be the same from call to call. Nothing waits on the host.
  void enter(int64_t block);

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
  static void point(Block& block, const at::Tensor& bytes);

  c10::Device device_;
  std::vector<Block> blocks_;
  at::Tensor host_;  // uint8, one block after the other
  std::array<Slot, 2> slots_;
  std::optional<c10::Stream> copies_;  // none on a CPU
  std::optional<c10::Event> computed_;
};

}  // namespace moga
