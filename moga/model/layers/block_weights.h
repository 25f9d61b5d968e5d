// Where the weights of a model's blocks are before a block computes, and what happens to their gradients afterwards.
//
//   forward    enter(i, kForward)  → block i computes                     → leave(i, kForward)     i = 0, 1, …
//   backward   enter(i, kBackward) → block i is recomputed, differentiated → gradients(i, …), leave(i, kBackward)
//                                                                                                  i = …, 1, 0
//
// A block reads its parameters as usual between enter and leave; it does not know where they come from. The backward
// calls come from recomputation (recompute.h), so weights that are not resident need it in training. Implementations:
// ResidentWeights here, WeightStream (weight_stream.h) from host memory; others may gather shards from ranks.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace moga {

enum class Pass { kForward, kBackward };

class BlockWeights {
 public:
  virtual ~BlockWeights() = default;
  // Blocks in training without recomputation keep their weights between the passes.
  virtual bool resident() const = 0;
  // Whether enter and leave may be called with kBackward.
  virtual bool trainable() const = 0;
  // The parameters of the block hold their values when what is queued on the current stream from here on runs. Nothing
  // waits on the host. The stream must be the same from call to call.
  virtual void enter(int64_t block, Pass pass) = 0;
  // The parameters' values are no longer needed by what is queued from here on.
  virtual void leave(int64_t block, Pass pass) = 0;
  // The gradients of the block's parameters, in the order of module.parameters(), undefined where there is none.
  // Returns what autograd adds to the parameters' .grad: the same, or undefined where an implementation has put them
  // elsewhere.
  virtual std::vector<at::Tensor> gradients(int64_t block, std::vector<at::Tensor> gradients) { return gradients; }
};

// The weights are on the device all the time.
class ResidentWeights : public BlockWeights {
 public:
  bool resident() const override { return true; }
  bool trainable() const override { return true; }
  void enter(int64_t, Pass) override {}
  void leave(int64_t, Pass) override {}
};

}  // namespace moga
