// One train step: random numbers, forward and backward over the pieces of the batch, clipped AdamW, EMA. Nothing waits
// for the device; losses and norms are returned as tensors.
//
// On a mesh of ranks the step is that of one process: random numbers are drawn for the whole batch, data ranks take
// different videos of it, sequence ranks slices of the same videos, and gradients are summed over all ranks. Weights,
// moments and averages are replicated, or sharded over all ranks (config.parallel.shard).
#pragma once

#include "moga/model/layers/sharded_blocks.h"
#include "moga/parallel/mesh.h"
#include "moga/train/loop/ema.h"
#include "moga/train/loop/optimizer.h"
#include "moga/train/loop/sharded_state.h"
#include "moga/train/video/gradient_parts.h"
#include "moga/train/video/train_data.h"
#include "moga/train/video/train_models.h"

namespace moga {

struct StepInput {
  int64_t step = 0;  // train steps before this one, over all stages
  double lr = 0;
  // The pieces of one batch that this data rank computes; the batch's videos are in the order of the data ranks. The
  // gradient is that of the whole batch, however it is cut into pieces.
  std::vector<TrainBatch> pieces;
};

// Of the whole batch, the same on all ranks.
struct StepResult {
  at::Tensor flow;             // [] mean squared error over the batch
  at::Tensor balance;          // []; undefined without a router
  at::Tensor group_histogram;  // [layers, M] int64; undefined without a router
  at::Tensor gate_sum;         // [layers] Σ p(g(x)|x) over the tokens; undefined without a router
  at::Tensor gradient_norm;    // [] before clipping
  at::Tensor gradient_norms;   // [sets] of each part and layer, before clipping (gradient_parts.h)
  at::Tensor skipped;          // [] 1 when the gradient was not finite and the step was not taken
  int64_t videos = 0, tokens = 0;
};

// Weights, their average and the optimiser's moments: everything that training changes.
class TrainState {
 public:
  TrainState(const TrainConfig& config, at::Device device, at::ScalarType dtype, const Mesh& mesh = {});
  // With models that exist: float32, on any device; they are moved.
  TrainState(const TrainConfig& config, TrainModels models, at::Device device, at::ScalarType dtype,
             const Mesh& mesh = {});

  StepResult train_step(const StepInput& input);
  // Stages 1 and 2 of a step: leaves the gradient in the parameters, on a mesh this rank's part of it; sharded state
  // has its sum over the ranks.
  StepResult accumulate_gradient(const StepInput& input);
  void drop_gradient();

  // [S_total, text_len, text_dim]: what the batch carries, else the text encoder's output.
  at::Tensor encode_text(const TrainBatch& batch);

  TrainModels& models() { return models_; }
  Ema& ema() { return ema_; }
  bool averages() const { return config_.ema > 0; }
  const Mesh& mesh() const { return mesh_; }
  at::Device device() const { return device_; }
  at::ScalarType dtype() const { return dtype_; }
  // "model" (float32 masters), "optimizer" and, unless config.ema is 0, "ema" → tensors, for a checkpoint.
  std::map<std::string, NamedTensors> parts() const;
  // Where the tensors of parts() are pieces of this rank; empty when they are whole.
  const Placements& placements() const { return placements_; }
  const std::string& start_digest() const { return start_digest_; }  // of the weights before they were sharded
  const GradientParts& gradient_parts() const { return gradient_parts_; }
  int64_t parameter_count() const;  // trained elements
  // Called after parts() were restored.
  void restored();

  // The weights of the modules follow the shards after these have changed. Every rank calls it.
  void refresh();
  // Whether a forward pass needs all ranks, because blocks are gathered.
  bool gathers_blocks() const { return blocks_ && !blocks_->resident(); }
  // Every rank calls it. With `keep` the modules have all their weights until back_to_buffers(), those of the blocks in
  // host memory.
  void gather_to_host(bool keep);
  void back_to_buffers();

 private:
  TrainConfig config_;
  at::Device device_;
  at::ScalarType dtype_;
  Mesh mesh_;
  TrainModels models_;
  std::string start_digest_;
  std::unique_ptr<ShardedState> sharded_;  // null where the state is whole
  std::shared_ptr<ShardedBlocks> blocks_;
  NamedTensors parameters_, masters_;
  AdamW optimizer_;
  Ema ema_;
  Placements placements_;
  GradientParts gradient_parts_;
};

// Inside its scope the modules compute with the averaged weights. Every rank opens and closes it where the state is
// sharded.
class AveragedWeights {
 public:
  explicit AveragedWeights(TrainState& state);
  ~AveragedWeights() noexcept(false);
  AveragedWeights(const AveragedWeights&) = delete;
  AveragedWeights& operator=(const AveragedWeights&) = delete;

 private:
  TrainState& state_;
  bool averaged_;
};

}  // namespace moga
