// The training loop: stages of data, train steps, log lines, checkpoints, contact sheets, the finished model.
//
//   RUN/log.jsonl  RUN/config.toml  RUN/step-00001000/  RUN/samples/step-00001000-0.png  RUN/model/
//
// A run ends when its steps are done, when its time is up (as if they were done), or when it is interrupted: then it
// saves and says how to go on. A run resumed from a checkpoint goes on bit for bit as the uninterrupted one.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "moga/core/log.h"
#include "moga/train/video/metrics.h"
#include "moga/train/loop/run.h"
#include "moga/train/video/sample_grid.h"

namespace moga {

// How far a run has come.
struct TrainPosition {
  size_t stage = 0;        // index of the stage under way
  int64_t stage_step = 0;  // its train steps done
  int64_t step = 0;        // train steps done over all stages: names the random streams
};

class Trainer {
 public:
  // Throws when `checkpoint` was made with another model, seed or data, naming the key.
  Trainer(const TrainConfig& config, const std::optional<Checkpoint>& checkpoint = std::nullopt);

  // `stop_after`: end as if interrupted after so many steps; -1: go on to the end.
  TrainEnd run(int64_t stop_after = -1);

  // The batch of the next train step, in the stage's pieces.
  std::vector<TrainBatch> next_batch(const StageConfig& stage, const TrainData& data, DataOrder& order) const;
  TrainData load_data(const std::string& folder, int64_t limit, int64_t frames = 0) const;
  DataOrder data_order(const StageConfig& stage, const TrainData& data) const;

  TrainState& state() { return state_; }
  const TrainState& state() const { return state_; }
  const TrainPosition& position() const { return position_; }

 private:
  void load(const Checkpoint& checkpoint);
  TrainEnd run_stage(const StageConfig& stage, int64_t stop_at, Progress& progress);
  void after_step(const StageConfig& stage, double lr, Progress& progress);
  std::string log(const StageConfig& stage, double lr);  // returns the note of the progress line
  void save();
  void draw();
  void finish(TrainEnd end);

  TrainConfig config_;
  std::filesystem::path run_;
  Tokenizer tokenizer_;
  TrainState state_;
  Metrics metrics_;
  std::unique_ptr<JsonLog> log_;
  std::unique_ptr<SampleGrid> grid_;
  std::string note_;
  TrainPosition position_;
  int64_t saved_step_ = -1;
  RunClock clock_;
};

// What `moga train` does: opens the checkpoint that --resume asks for ("" none, "auto", a folder) and runs.
TrainEnd train(const TrainConfig& config, const std::string& resume);

}  // namespace moga
