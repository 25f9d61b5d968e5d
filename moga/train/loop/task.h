// What is trained: the interface between the training loop (trainer.h) and a model. A task knows its model, data and
// loss. The loop knows stages, log lines, checkpoints, samples, time limits and interrupts, and nothing of the model.
//
// A task is created with its initial weights; the loop restores a checkpoint into parts(). Everything that a step draws
// at random must follow from the seed and the position, so that a resumed run repeats the uninterrupted one bit for
// bit.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "moga/train/loop/run.h"

namespace moga {

// Train steps on one kind of data. The log names the stage unless the name is empty.
struct TrainStage {
  std::string name;
  int64_t steps = 0;
};

// How far a run has come.
struct TrainPosition {
  size_t stage = 0;        // index of the current stage
  int64_t stage_step = 0;  // train steps done in it
  int64_t step = 0;        // train steps done in all stages: names the random streams
};

// What one train step reports. Tensors are on the device; nothing waits for them until a log line is due.
struct StepReport {
  double lr = 0;
  // [], or [n] for a list of n numbers: the log has their means over the steps taken.
  std::vector<std::pair<std::string, at::Tensor>> values;
  at::Tensor skipped;                                       // [] 1: the gradient was not finite, no step was taken
  at::Tensor counts;                                        // integers of any shape, summed; may be undefined
  std::vector<std::pair<std::string, int64_t>> throughput;  // {"videos", 4}: the log has "videos_per_second"
};

class TrainTask {
 public:
  virtual ~TrainTask() = default;

  virtual std::string label() const = 0;    // of the progress line: "train vae"
  virtual std::string summary() const = 0;  // "a VAE of 1.2 M parameters"
  virtual std::string config_toml() const = 0;
  virtual std::vector<TrainStage> stages() const = 0;

  // What makes two runs the same run. Resuming with another identity is an error that names the key.
  virtual nlohmann::json identity() const = 0;
  // All tensors that training changes, by the name of their file in a checkpoint.
  virtual TrainParts parts() const = 0;
  // Where the state is sharded over ranks: which pieces parts() has of this rank. Then all ranks take part in samples
  // and in writing checkpoints and the model.
  virtual Placements placements() const { return {}; }
  // What ranks compare before they start, where the state is sharded: a digest of the weights as they were whole.
  virtual std::string start_digest() const { return ""; }

  // Called after a checkpoint was restored into parts().
  virtual void restored() {}

  // Called before the first train step of a stage, or the first after resuming within it.
  virtual void begin_stage(const TrainPosition&) {}
  // The train step after `position`.
  virtual StepReport step(const TrainPosition& position) = 0;

  // Completes a log line that holds the means. `counts`: the summed counts as float64 on the host, or undefined.
  virtual void complete(nlohmann::json&, const at::Tensor& /*counts*/) const {}
  // The text next to the progress bar, from a completed line.
  virtual std::string note(const nlohmann::json& line) const = 0;

  // Evaluates the weights on held-out data: what belongs into the log, or null. Every rank calls it.
  virtual nlohmann::json held_out(const TrainPosition&) { return nullptr; }

  // Evaluates the averaged weights: writes pictures as PREFIX….png, returns what belongs into the log, or null.
  virtual nlohmann::json sample(const TrainPosition& position, const std::filesystem::path& prefix) = 0;
  // Whether the weights that training starts from are sampled too.
  virtual bool samples_the_start() const { return false; }

  // Writes the finished model into the folder, whole or not at all, and says what it is: "VAE in runs/vae/model".
  virtual std::string save_model(const TrainPosition& position, const std::filesystem::path& folder) = 0;
};

}  // namespace moga
