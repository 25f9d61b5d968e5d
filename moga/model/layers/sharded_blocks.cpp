// See sharded_blocks.h.
#include "moga/model/layers/sharded_blocks.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/core/check.h"
#include "moga/model/layers/buffer_layout.h"

namespace moga {
ShardedBlocks::ShardedBlocks(const Modules& blocks, const Units& units) {
  check(!blocks.empty(), "no blocks to shard");
  for (const auto& module : blocks) blocks_.push_back(block_of(*module, units));
  for (const Block& block : blocks_)
    for (const auto& unit : block.units) gathers_ = gathers_ || unit->sharded();
  if (gathers_) allocate();
}

ShardedBlocks::Block ShardedBlocks::block_of(const torch::nn::Module& module, const Units& units) const {
  Block block;
  const std::vector<at::Tensor> parameters = module.parameters();
  block.places.resize(parameters.size());
  for (const auto& unit : units) {
    size_t found = 0;
    for (size_t index = 0; index < unit->parameters().size(); ++index)
      for (size_t i = 0; i < parameters.size(); ++i)
        if (parameters[i].is_same(unit->parameters()[index])) {
          block.places[i] = {static_cast<int64_t>(block.units.size()), index};
          ++found;
        }
    if (found == 0) continue;
    if (found == unit->parameters().size()) {
      block.units.push_back(unit);
      continue;
    }
    check(!unit->sharded(), "a unit of sharded parameters holds ", found, " of block ", blocks_.size(), " and ",
          unit->parameters().size() - found, " others");
    for (Place& place : block.places)
      if (place.unit == static_cast<int64_t>(block.units.size())) place = {};
  }
  return block;
}

// Both buffers have the size of the largest block.
void ShardedBlocks::allocate() {
  int64_t largest = 0;
  for (const Block& block : blocks_) {
    int64_t bytes = 0;
    for (const auto& unit : block.units)
      if (unit->sharded()) bytes += aligned_bytes(unit->flat_bytes());
    largest = std::max(largest, bytes);
  }
  const c10::Device device = blocks_.front().units.front()->shard().device();
  for (Slot& slot : slots_) slot.bytes = at::zeros({largest}, at::TensorOptions(at::kByte).device(device));
  back_to_buffers();
}

void ShardedBlocks::point(int64_t block) {
  int64_t begin = 0;
  for (const auto& unit : blocks_[block].units) {
    if (!unit->sharded()) continue;
    unit->point(slot_of(block).bytes.narrow(0, begin, unit->flat_bytes()));
    begin += aligned_bytes(unit->flat_bytes());
  }
}

void ShardedBlocks::back_to_buffers() {
  if (slots_[0].bytes.defined())
    for (size_t i = 0; i < blocks_.size(); ++i) point(static_cast<int64_t>(i));
}

void ShardedBlocks::gather_to_host(bool keep) {
  if (!gathers_) return;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    fetch(static_cast<int64_t>(i));
    finish_fetch(static_cast<int64_t>(i));
    for (const auto& unit : blocks_[i].units)
      for (const at::Tensor& parameter : unit->parameters())
        if (keep && unit->sharded())
          parameter.set_data(parameter.detach().to(at::kCPU, /*non_blocking=*/false, /*copy=*/true));
  }
}

void ShardedBlocks::fetch(int64_t block) {
  Slot& slot = slot_of(block);
  if (slot.block == block) return;
  slot.started.clear();
  slot.block = block;
  int64_t begin = 0;
  for (const auto& unit : blocks_[block].units) {
    if (!unit->sharded()) continue;
    slot.started.push_back(unit->start_gather(slot.bytes.narrow(0, begin, unit->flat_bytes())));
    begin += aligned_bytes(unit->flat_bytes());
  }
}

void ShardedBlocks::finish_fetch(int64_t block) {
  for (Pending& gather : slot_of(block).started) gather.wait();
  slot_of(block).started.clear();
}

void ShardedBlocks::enter(int64_t block, Pass pass) {
  if (!gathers_) return;
  fetch(block);
  finish_fetch(block);
  const int64_t next = pass == Pass::kForward ? block + 1 : block - 1;
  if (next >= 0 && next < static_cast<int64_t>(blocks_.size())) fetch(next);
}

std::vector<at::Tensor> ShardedBlocks::gradients(int64_t block, std::vector<at::Tensor> gradients) {
  const Block& own = blocks_[block];
  std::vector<std::vector<at::Tensor>> of_units;
  for (const auto& unit : own.units) of_units.emplace_back(unit->parameters().size());
  for (size_t i = 0; i < gradients.size(); ++i) {
    const Place& place = own.places[i];
    if (place.unit < 0 || !own.units[place.unit]->trained()) continue;
    of_units[place.unit][place.index] = std::move(gradients[i]);
    gradients[i] = at::Tensor();
  }
  // The previous block's gradients were summed while this block computed. After that their buffer can be used again.
  if (reduced_ >= 0)
    for (const auto& unit : blocks_[reduced_].units) unit->settle();
  for (size_t i = 0; i < own.units.size(); ++i)
    if (own.units[i]->trained()) own.units[i]->add_gradients(of_units[i]);
  reduced_ = block;
  return gradients;
}

void ShardedBlocks::invalidate() {
  for (Slot& slot : slots_) {
    for (Pending& gather : slot.started) gather.wait();
    slot.started.clear();
    slot.block = -1;
  }
}

}  // namespace moga
