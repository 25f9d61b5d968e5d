// See sharded_state.h.
#include "moga/train/loop/sharded_state.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/core/check.h"

namespace moga {

ShardedState::ShardedState(const std::vector<Unit>& units, const ProcessGroup& ranks, at::Device device) {
  tensors_.device = device;
  tensors_.ranks = ranks;
  for (const Unit& unit : units) add_unit(unit, ranks);
  check(parameter_count_ > 0, "nothing to train: no parameter requires a gradient");
}

void ShardedState::add_unit(const Unit& unit, const ProcessGroup& ranks) {
  const NamedTensors& named = unit.parameters;
  const auto sharded = std::make_shared<ShardedParameters>(tensors_of(named), ranks, unit.options);
  units_.push_back(sharded);
  if (!unit.options.trained) return;
  parameter_count_ += element_count(named);
  for (const FlatPiece& piece : sharded->pieces()) {
    const auto& [name, parameter] = named[piece.tensor];
    tensors_.weights.emplace_back(name, sharded->shard().narrow(0, piece.offset, piece.length));
    tensors_.masters.emplace_back(name, sharded->masters().narrow(0, piece.offset, piece.length));
    tensors_.decayed.push_back(parameter.dim() >= 2);
    check(placements_.emplace(name, Placement{parameter.sizes().vec(), piece.begin}).second,
          "two units to shard hold the parameter ", name);
  }
}

void ShardedState::collect() {
  ShardedParameters* before = nullptr;
  for (const auto& unit : units_) {
    if (!unit->trained()) continue;
    std::vector<at::Tensor> gradients;
    for (const at::Tensor& parameter : unit->parameters()) {
      gradients.push_back(parameter.grad());
      parameter.mutable_grad().reset();
    }
    if (std::ranges::none_of(gradients, [](const at::Tensor& gradient) { return gradient.defined(); })) continue;
    unit->add_gradients(gradients);
    if (before) before->settle();  // frees its buffer
    before = unit.get();
  }
}

std::vector<at::Tensor> ShardedState::gradients() {
  std::vector<at::Tensor> gradients;
  for (const auto& unit : units_) {
    if (!unit->trained()) continue;
    for (const FlatPiece& piece : unit->pieces()) gradients.push_back(unit->gradient(piece));
  }
  return gradients;
}

void ShardedState::drop_gradients() {
  for (const auto& unit : units_) unit->drop_gradients();
}

void ShardedState::share() {
  std::vector<Pending> started;
  for (const auto& unit : units_)
    if (unit->trained() && !unit->sharded()) started.push_back(unit->start_share());
  for (Pending& pending : started) pending.wait();
}

}  // namespace moga
