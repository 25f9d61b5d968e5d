// One train step: random numbers, forward and backward over the pieces of the batch, clipped AdamW, EMA. Nothing waits
// for the device; losses and norms are returned as tensors.
//
// On a mesh of ranks the step is that of one process: random numbers are drawn for the whole batch, data ranks take
// different videos of it, sequence ranks slices of the same videos, and gradients are summed over all ranks. Weights,
// moments and averages are replicated.
#pragma once

#include "moga/parallel/mesh.h"
#include "moga/train/loop/ema.h"
#include "moga/train/loop/optimizer.h"
#include "moga/train/video/train_data.h"
#include "moga/train/video/train_models.h"

namespace moga {

struct StepInput {
  int64_t step = 0;  // train steps before this one, over all stages
  double lr = 0;
  // Of one batch; the gradient is that of the whole, however it is cut. Those of this data rank: the batch's videos are
  // in the order of the data ranks.
  std::vector<TrainBatch> pieces;
};

// Of the whole batch, the same on all ranks.
struct StepResult {
  at::Tensor flow;             // [] mean squared error over the batch
  at::Tensor balance;          // []; undefined without a router
  at::Tensor group_histogram;  // [layers, M] int64; undefined without a router
  at::Tensor gradient_norm;    // [] before clipping
  at::Tensor skipped;          // [] 1 when the gradient was not finite and the step was not taken
  int64_t videos = 0, tokens = 0;
};

// Weights, their average and the optimiser's moments: everything that training changes.
class TrainState {
 public:
  TrainState(const TrainConfig& config, at::Device device, at::ScalarType dtype, const Mesh& mesh = {});

  StepResult train_step(const StepInput& input);
  // Stages 1 and 2 of a step: leaves the gradient in the parameters, on a mesh this rank's part of it.
  StepResult accumulate_gradient(const StepInput& input);

  // [S_total, text_len, text_dim]: what the batch carries, else the text encoder's output.
  at::Tensor encode_text(const TrainBatch& batch);

  TrainModels& models() { return models_; }
  Ema& ema() { return ema_; }
  const Mesh& mesh() const { return mesh_; }
  at::Device device() const { return device_; }
  at::ScalarType dtype() const { return dtype_; }
  // "model" (float32 masters), "optimizer" and, unless config.ema is 0, "ema" → tensors, for a checkpoint.
  std::map<std::string, NamedTensors> parts() const;
  // Called after parts() were restored.
  void restored() { optimizer_.write_weights(); }

 private:
  TrainConfig config_;
  at::Device device_;
  at::ScalarType dtype_;
  Mesh mesh_;
  TrainModels models_;
  NamedTensors parameters_, masters_;
  AdamW optimizer_;
  Ema ema_;
};

}  // namespace moga
