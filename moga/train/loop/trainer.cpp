// The training loop. See trainer.h.
#include "moga/train/loop/trainer.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/parallel/agree.h"
#include "moga/train/loop/rank_summary.h"
#include "moga/train/loop/tensor_digest.h"

namespace moga {
namespace {

int64_t largest(const ProcessGroup& ranks, int64_t value) {
  const at::Tensor all = at::full({1}, value, at::kLong);
  ranks.all_reduce(all, Reduce::kMax);
  return all.item<int64_t>();
}

}  // namespace

Trainer::Trainer(TrainTask& task, const LoopConfig& config, const std::optional<Checkpoint>& checkpoint)
    : task_(task), config_(config), stages_(task.stages()), sharded_(!task.placements().empty()) {
  check(!stages_.empty(), "nothing to train: no stages");
  if (checkpoint) restore(*checkpoint);
  agree_on_start();
  if (!writes()) return;
  write_text(config_.out / "config.toml", task_.config_toml());
  log_info("complete config in ", (config_.out / "config.toml").string());
  log_ = std::make_unique<JsonLog>(config_.out / "log.jsonl");
  events_ = std::make_unique<EventFile>(config_.out, position_.step);
  log_info("train ", task_.summary(), ", run ", config_.out.string());
}

void Trainer::agree_on_start() const {
  if (config_.ranks.size() == 1) return;
  std::vector<Claim> claims = {{"identity of the run", task_.identity().dump(1)},
                               {"step to start from", std::to_string(position_.step)}};
  if (sharded_)
    claims.push_back({"weights", task_.start_digest()});
  else
    for (const auto& [part, tensors] : task_.parts()) claims.push_back({"part " + part, digest_lines(tensors)});
  agree(config_.ranks, claims);
}

void Trainer::restore(const Checkpoint& checkpoint) {
  check_same_run(checkpoint.state.at("identity"), task_.identity(), checkpoint.folder.string());
  restore_parts(task_.parts(), checkpoint, task_.placements());
  task_.restored();
  position_ = {.stage = checkpoint.state.at("stage").get<size_t>(),
               .stage_step = checkpoint.state.at("stage_step").get<int64_t>(),
               .step = checkpoint.step};
  check(position_.stage < stages_.size(), checkpoint.folder.string(), " is of stage ", position_.stage + 1,
        ", the config has ", stages_.size());
  saved_step_ = checkpoint.step;
  clock_.go_on_from(checkpoint.state.at("seconds").get<double>());
}

TrainEnd Trainer::run(int64_t stop_after) {
  const int64_t stop_at = stop_after < 0 ? -1 : position_.step + stop_after;
  int64_t total = 0;
  for (const TrainStage& stage : stages_) total += stage.steps;
  Progress progress(task_.label(), total, "step", position_.step);
  if (position_.step == 0 && config_.sample_every > 0 && task_.samples_the_start()) sample();
  if (position_.step == 0 && config_.held_out_every > 0) evaluate();
  TrainEnd end = run_stage(stop_at, progress);
  // The position stays in the last stage, so that a finished run can be resumed with more steps or more stages.
  while (end == TrainEnd::done && position_.stage + 1 < stages_.size()) {
    ++position_.stage;
    position_.stage_step = 0;
    end = run_stage(stop_at, progress);
  }
  finish(end);
  return end;
}

TrainEnd Trainer::run_stage(int64_t stop_at, Progress& progress) {
  const int64_t steps = stages_[position_.stage].steps;
  if (position_.stage_step >= steps) return TrainEnd::done;
  task_.begin_stage(position_);
  metrics_ = Metrics();
  watch_ = RunWatch();
  while (position_.stage_step < steps) {
    const StepReport report = step();
    metrics_.add(report);
    lr_ = report.lr;
    ++position_.stage_step;
    ++position_.step;
    const bool told = config_.ranks.any(interrupted());  // before the host waits for a device: finds ranks that hang
    after_step(progress);
    if (told || (config_.ranks.size() == 1 && interrupted()) || position_.step == stop_at) return TrainEnd::interrupted;
    if (config_.max_minutes > 0 && config_.ranks.any(clock_.seconds() > 60 * config_.max_minutes))
      return TrainEnd::out_of_time;
  }
  if (metrics_.steps() > 0) check_finite(log());  // the stage's last steps
  return TrainEnd::done;
}

StepReport Trainer::step() {
  const bool logs =
      (position_.step + 1) % config_.log_every == 0 || position_.stage_step + 1 == stages_[position_.stage].steps;
  if (config_.ranks.size() == 1 || !logs) return task_.step(position_);
  last_step_ = nullptr;
  last_step_ = std::make_unique<WaitTime>(config_.device);
  StepReport report = task_.step(position_);
  last_step_->stop();
  return report;
}

void Trainer::after_step(Progress& progress) {
  if (position_.step % config_.log_every == 0) check_finite(log());
  progress.advance(1, note_);

  const bool save_due = position_.step % config_.checkpoint_every == 0;
  const bool sample_due = config_.sample_every > 0 && position_.step % config_.sample_every == 0;
  const bool evaluation_due = config_.held_out_every > 0 && position_.step % config_.held_out_every == 0;
  if (!save_due && !sample_due && !evaluation_due) return;
  synchronize(config_.device);  // so that steps still running count as training time
  const double begin = clock_.seconds();
  if (save_due) save();
  if (sample_due) sample();
  if (evaluation_due) evaluate();
  metrics_.exclude(clock_.seconds() - begin);
}

nlohmann::json Trainer::log() {
  const Metrics::Line means = metrics_.take();
  nlohmann::json line = {{"step", position_.step},
                         {"lr", lr_},
                         {"seconds", clock_.seconds()},
                         {"peak_bytes", largest(config_.ranks, peak_memory(config_.device))}};
  if (const std::string& stage = stages_[position_.stage].name; !stage.empty()) line["stage"] = stage;
  line.update(means.means);
  if (config_.ranks.size() > 1) {
    line["ranks"] =
        summarise_ranks(config_.ranks, last_step_ ? last_step_->seconds() : StepTime(), peak_memory(config_.device));
    ranks_text_ = text_of_ranks(line["ranks"]);
  }
  task_.complete(line, means.counts);
  if (writes()) write(line);
  note_ = task_.note(line);
  return line;
}

void Trainer::write(nlohmann::json& line) {
  for (const std::string& news : watch_.read(line)) {
    log_info("step ", position_.step, ": ", news);
    line["news"].push_back(news);
  }
  log_->write(line);
  events_->add_line(position_.step, line);
}

void Trainer::check_finite(const nlohmann::json& line) const {
  const auto steps = line.at("steps").get<int64_t>();
  if (line.at("skipped").get<int64_t>() < steps) return;
  const std::string last =
      saved_step_ < 0 ? "there is no checkpoint" : "the last checkpoint is of step " + std::to_string(saved_step_);
  fail("no finite gradient in the ", steps, " steps before step ", position_.step, "; ", last);
}

void Trainer::save() {
  if (saved_step_ == position_.step) return;
  saved_step_ = position_.step;
  if (!takes_part()) return;
  const CheckpointContents contents = {.step = position_.step,
                                       .state = {{"stage", position_.stage},
                                                 {"stage_step", position_.stage_step},
                                                 {"seconds", clock_.seconds()},
                                                 {"identity", task_.identity()}},
                                       .parts = to_maps(task_.parts()),
                                       .config = task_.config_toml(),
                                       .placements = task_.placements(),
                                       .ranks = config_.ranks};
  save_checkpoint(config_.out, contents, config_.keep_checkpoints);
}

void Trainer::evaluate() {
  if (evaluated_step_ == position_.step) return;
  evaluated_step_ = position_.step;
  nlohmann::json line = task_.held_out(position_);
  if (!writes() || line.is_null()) return;
  line["step"] = position_.step;
  write(line);
}

void Trainer::sample() {
  if (sampled_step_ == position_.step || !takes_part()) return;
  const std::filesystem::path prefix = config_.out / "samples" / step_name(position_.step);
  nlohmann::json line = task_.sample(position_, prefix);
  sampled_step_ = position_.step;
  if (!writes()) return;
  add_pictures(prefix);
  if (line.is_null()) return;
  line["step"] = position_.step;
  log_->write(line);
  events_->add_line(position_.step, line);
}

// PREFIX-0.png is the picture "samples/0", PREFIX.png "samples".
void Trainer::add_pictures(const std::filesystem::path& prefix) {
  if (!std::filesystem::is_directory(prefix.parent_path())) return;
  std::vector<std::filesystem::path> pictures;
  for (const auto& entry : std::filesystem::directory_iterator(prefix.parent_path()))
    if (entry.path().extension() == ".png" && entry.path().stem().string().starts_with(prefix.filename().string()))
      pictures.push_back(entry.path());
  std::ranges::sort(pictures);
  for (const std::filesystem::path& picture : pictures) {
    std::string rest = picture.stem().string().substr(prefix.filename().string().size());
    if (rest.starts_with('-')) rest[0] = '/';
    events_->add_png(position_.step, "samples" + rest, picture);
  }
}

void Trainer::finish(TrainEnd end) {
  if (!ranks_text_.empty()) log_info(ranks_text_);
  if (end == TrainEnd::interrupted) {
    if (metrics_.steps() > 0) log();
    save();
    log_info("interrupted after step ", position_.step, "; resume with --resume auto");
    return;
  }
  if (metrics_.steps() > 0) check_finite(log());
  save();
  if (config_.sample_every > 0) sample();
  if (config_.held_out_every > 0) evaluate();
  if (!takes_part()) return;
  const std::string model = task_.save_model(position_, config_.out / "model");
  log_info(end == TrainEnd::out_of_time ? "time is up after step " : "done after step ", position_.step, ": ", model);
}

}  // namespace moga
