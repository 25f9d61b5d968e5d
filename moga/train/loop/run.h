// What the runs of both trainers (trainer.h, vae_trainer.h) have in common: how one begins and goes on from a
// checkpoint, the clock of its training time, and the dtype it computes in.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "moga/train/loop/checkpoint.h"
#include "moga/train/loop/parameters.h"

namespace moga {

enum class TrainEnd { done, out_of_time, interrupted };

// The checkpoint that --resume asks for (checkpoint.h), or none for a new run. Throws when a new run would begin in a
// folder that holds checkpoints; says so when "auto" finds none.
std::optional<Checkpoint> begin_run(const std::filesystem::path& run, const std::string& resume);

// Weights, EMA, optimiser: "model" → tensors, ….
using TrainParts = std::map<std::string, NamedTensors>;
// What a checkpoint remembers of a run's identity against that of `config`. Throws naming the first key that differs.
// Keys that the checkpoint lacks (stages added since) are allowed.
void check_same_run(const nlohmann::json& checkpoint, const nlohmann::json& config, const std::string& source);

void restore_parts(const TrainParts& parts, const Checkpoint& checkpoint, c10::Device device);
std::map<std::string, TensorMap> to_maps(const TrainParts& parts);

// Seconds of training over all runs that led here.
class RunClock {
 public:
  void go_on_from(double seconds) { before_ = seconds; }
  double seconds() const;

 private:
  double before_ = 0;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace moga
