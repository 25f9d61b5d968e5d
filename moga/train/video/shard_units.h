// How the models of a run are divided into units of sharded state: one unit per block and storage dtype, and the rest
// in units of bounded size, since a unit's gradients are summed in one float32 buffer.
//
//   optimizer   blocks and rest are whole on every rank; frozen parameters are in no unit
//   full        the matrices of blocks are sharded, frozen ones too; vectors of blocks, which are small and may have
//               another dtype, and everything outside of blocks are whole
#pragma once

#include "moga/train/loop/sharded_state.h"
#include "moga/train/video/train_models.h"

namespace moga {

// How the run shards its state: "none" on one rank, and where "auto" was not resolved by a plan.
Shard shard_of(const TrainConfig& config, const ProcessGroup& ranks);

// The dtype in which a parameter is stored.
at::ScalarType stored_dtype(const TrainConfig& config, const std::string& name);

std::vector<ShardedState::Unit> shard_units(const TrainConfig& config, const TrainModels& models, Shard shard,
                                            at::Device device);

// Moves what is in no unit to the device, in the dtype in which it is stored: frozen parameters and buffers.
void place_others(const TrainConfig& config, const TrainModels& models, const std::vector<ShardedState::Unit>& units,
                  at::Device device);

// The modules blocks.0, blocks.1, … of a video model.
std::vector<std::shared_ptr<torch::nn::Module>> blocks_of(const torch::nn::Module& model);

}  // namespace moga
