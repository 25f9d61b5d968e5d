// Block weights and their gradients on several ranks, in shards (parallel/sharded_parameters.h):
//
//   forward    gather i+1 │ block i computes             buffers  0: block 0 │ block 2 │ …
//   backward   gather i−1 │ block i computes                      1:      block 1 │ block 3 │ …
//              its gradients: reduce-scatter, while block i−1 computes
//
// Sharded weights are gathered into one of two buffers, of which the parameters are views, so a block needs no other
// code. Whole weights stay where they are, and only gradients are handled. Collectives are ordered by streams: one that
// fills a buffer follows what was queued before it, which includes the last block that used the buffer. Gradients of
// parameters that are in no unit are left to autograd.
#pragma once

#include <torch/nn/module.h>

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "moga/model/layers/block_weights.h"
#include "moga/parallel/sharded_parameters.h"

namespace moga {

class ShardedBlocks : public BlockWeights {
 public:
  using Modules = std::vector<std::shared_ptr<torch::nn::Module>>;
  using Units = std::vector<std::shared_ptr<ShardedParameters>>;

  // `units`: of all parameters of the run. A unit of blocks holds parameters of one block.
  ShardedBlocks(const Modules& blocks, const Units& units);

  bool resident() const override { return !gathers_; }
  bool trainable() const override { return true; }
  void enter(int64_t block, Pass pass) override;
  void leave(int64_t, Pass) override {}
  std::vector<at::Tensor> gradients(int64_t block, std::vector<at::Tensor> gradients) override;

  // The shards have changed: what the buffers hold is old.
  void invalidate();

  // For writing the model: gathers one block after another and, with `keep`, lets its parameters be copies in host
  // memory until back_to_buffers(). Every rank calls both.
  void gather_to_host(bool keep);
  void back_to_buffers();

 private:
  struct Place {        // of a parameter of the module
    int64_t unit = -1;  // of the block; −1: in no unit of the block
    size_t index = 0;
  };
  struct Block {
    Units units;
    std::vector<Place> places;  // in the order of module.parameters()
  };
  struct Slot {
    at::Tensor bytes;  // uint8
    int64_t block = -1;
    std::vector<Pending> started;
  };

  Block block_of(const torch::nn::Module& module, const Units& units) const;
  void allocate();
  void point(int64_t block);
  void finish_fetch(int64_t block);
  Slot& slot_of(int64_t block) { return slots_[block % 2]; }
  void fetch(int64_t block);

  std::vector<Block> blocks_;
  bool gathers_ = false;  // some weights are sharded
  std::array<Slot, 2> slots_;
  int64_t reduced_ = -1;  // the block whose sums were started last
};

}  // namespace moga
