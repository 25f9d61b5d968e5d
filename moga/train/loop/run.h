// How a run starts or resumes from a checkpoint, what a checkpoint is compared with, and the clock of training time.
// The loop itself is trainer.h.
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

// The checkpoint that --resume asks for (checkpoint.h), or none for a new run. Throws when a new run would start in a
// folder that holds checkpoints; logs it when "auto" finds none.
std::optional<Checkpoint> begin_run(const std::filesystem::path& run, const std::string& resume);

// Weights, EMA and optimiser state: "model" → tensors, ….
using TrainParts = std::map<std::string, NamedTensors>;

// Compares the identity that a checkpoint stores with that of `config`. Throws, naming the first key that differs. Keys
// that the checkpoint lacks (stages added since) are allowed.
void check_same_run(const nlohmann::json& checkpoint, const nlohmann::json& config, const std::string& source);

// `placements`: of the tensors of which a rank holds a piece. The checkpoint may be of another number of ranks.
void restore_parts(const TrainParts& parts, const Checkpoint& checkpoint, const Placements& placements = {});
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
