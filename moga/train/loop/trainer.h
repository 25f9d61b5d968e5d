// The training loop: train steps over stages, log lines, checkpoints, samples, and the finished model of a task
// (task.h).
//
//   RUN/log.jsonl  RUN/config.toml  RUN/step-00001000/  RUN/samples/step-00001000….png  RUN/model/
//   RUN/events.out.tfevents.…   the log lines and samples for TensorBoard
//
// A run ends when its steps are done, when its time is up (as if they were done), or when it is interrupted: then it
// saves and says how to resume. A resumed run continues bit for bit as the uninterrupted one.
//
// On several ranks all run the loop: each takes part in the train steps, rank 0 alone writes. They compare config and
// weights at the start and end together, whichever was interrupted. All ranks read the checkpoint, so the folder of the
// run must be on a file system that they share. Where the state is sharded, every rank writes its shards of a
// checkpoint, and samples and the finished model need all of them. Each log line has the step time and memory of every
// rank ("ranks"), of the last train step before it. An evaluation on held-out data has a line of its own, before the
// first train step, at intervals and at the end. What goes wrong is printed when it begins, and stands in the line
// ("news"); see run_watch.h.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "moga/core/log.h"
#include "moga/parallel/process_group.h"
#include "moga/parallel/wait_time.h"
#include "moga/train/loop/event_file.h"
#include "moga/train/loop/loop_config.h"
#include "moga/train/loop/metrics.h"
#include "moga/train/loop/run_watch.h"
#include "moga/train/loop/task.h"

namespace moga {

class Trainer {
 public:
  // Restores `checkpoint` into the task. Throws when it was made with another identity, naming the key.
  Trainer(TrainTask& task, const LoopConfig& config, const std::optional<Checkpoint>& checkpoint = std::nullopt);

  // `stop_after`: end as if interrupted after so many steps; -1: run to the end.
  TrainEnd run(int64_t stop_after = -1);

  const TrainPosition& position() const { return position_; }

 private:
  bool writes() const { return config_.ranks.rank() == 0; }
  bool takes_part() const { return writes() || sharded_; }  // in checkpoints, samples and the finished model
  void agree_on_start() const;
  void restore(const Checkpoint& checkpoint);
  TrainEnd run_stage(int64_t stop_at, Progress& progress);
  StepReport step();
  void after_step(Progress& progress);
  nlohmann::json log();
  void write(nlohmann::json& line);                     // adds its news
  void check_finite(const nlohmann::json& line) const;  // throws when every step of the line was skipped
  void save();
  void sample();
  void evaluate();  // on held-out data
  void add_pictures(const std::filesystem::path& prefix);
  void finish(TrainEnd end);

  TrainTask& task_;
  LoopConfig config_;
  std::vector<TrainStage> stages_;
  bool sharded_;  // the state is, over the ranks
  Metrics metrics_;
  RunWatch watch_;
  std::unique_ptr<JsonLog> log_;
  std::unique_ptr<EventFile> events_;  // for TensorBoard
  std::string note_;
  std::unique_ptr<WaitTime> last_step_;  // measured on several ranks, where a log line is due after it
  std::string ranks_text_;               // of the last log line
  double lr_ = 0;                        // of the last step
  TrainPosition position_;
  int64_t saved_step_ = -1, sampled_step_ = -1, evaluated_step_ = -1;
  RunClock clock_;
};

}  // namespace moga
