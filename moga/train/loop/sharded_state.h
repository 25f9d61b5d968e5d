// The state of training in shards: each rank updates, averages and saves its pieces of the parameters.
//
//   weights() masters()  1-D pieces, one at most per parameter: what AdamW, Ema and a checkpoint take as parameters
//   placements()         where the pieces are in their parameters
//
// A train step: backward passes fill .grad or hand gradients to the units as they come (model/layers/sharded_blocks.h);
// collect() sums what is in .grad over the ranks; AdamW takes gradients() and updates the pieces; share() gathers the
// weights that every rank holds whole. It knows no model and has no collectives of its own.
#pragma once

#include <memory>

#include "moga/parallel/sharded_parameters.h"
#include "moga/train/loop/optimizer.h"

namespace moga {

class ShardedState {
 public:
  struct Unit {  // parameters that are gathered and reduced together
    NamedTensors parameters;
    ShardedOptions options;
  };
  using Units = std::vector<std::shared_ptr<ShardedParameters>>;

  // Takes the parameters' storage over, unit by unit. Every rank has the same units in the same order.
  ShardedState(const std::vector<Unit>& units, const ProcessGroup& ranks, at::Device device);

  const Units& units() const { return units_; }
  const OptimizedTensors& tensors() const { return tensors_; }
  const NamedTensors& weights() const { return tensors_.weights; }
  const NamedTensors& masters() const { return tensors_.masters; }
  const Placements& placements() const { return placements_; }

  void collect();
  std::vector<at::Tensor> gradients();  // in the order of weights()
  void drop_gradients();
  void share();
  // Trained elements of all ranks.
  int64_t parameter_count() const { return parameter_count_; }

 private:
  void add_unit(const Unit& unit, const ProcessGroup& ranks);

  Units units_;
  OptimizedTensors tensors_;
  Placements placements_;
  int64_t parameter_count_ = 0;
};

}  // namespace moga
