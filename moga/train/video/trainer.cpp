// The training loop. See trainer.h.
#include "moga/train/video/trainer.h"

#include <algorithm>
#include <iomanip>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/train/video/run_identity.h"

namespace fs = std::filesystem;

namespace moga {
Trainer::Trainer(const TrainConfig& config, const std::optional<Checkpoint>& checkpoint)
    : config_(config),
      run_(config.out),
      tokenizer_(config.tokenizer),
      state_(config, parse_device(config.device), compute_dtype(config.dtype, parse_device(config.device))) {
  check(tokenizer_.vocab_size() <= config.text_encoder.vocab_size, config.tokenizer, " knows ", tokenizer_.vocab_size(),
        " text tokens, text_encoder.vocab_size is ", config.text_encoder.vocab_size);
  if (checkpoint) load(*checkpoint);
  log_info(to_toml(config));
  write_text(run_ / "config.toml", to_toml(config));
  log_ = std::make_unique<JsonLog>(run_ / "log.jsonl");
  log_info("train ", element_count(state_.models().parameters()) / 1e6, " M parameters on ",
           device_name(state_.device()), ", computing in ", dtype_name(state_.dtype()), ", run ", run_.string());
}

void Trainer::load(const Checkpoint& checkpoint) {
  check_same_run(checkpoint.state.at("identity"), run_identity(config_), checkpoint.folder.string());
  restore_parts(state_.parts(), checkpoint, state_.device());
  position_ = {.stage = checkpoint.state.at("stage").get<size_t>(),
               .stage_step = checkpoint.state.at("stage_step").get<int64_t>(),
               .step = checkpoint.step};
  saved_step_ = checkpoint.step;
  clock_.go_on_from(checkpoint.state.at("seconds").get<double>());
}

TrainEnd Trainer::run(int64_t stop_after) {
  const int64_t stop_at = stop_after < 0 ? -1 : position_.step + stop_after;
  Progress progress("train", config_.total_steps(), "step", position_.step);
  TrainEnd end = TrainEnd::done;
  for (; position_.stage < config_.stage.size(); ++position_.stage, position_.stage_step = 0) {
    end = run_stage(config_.stage[position_.stage], stop_at, progress);
    if (end != TrainEnd::done) break;
  }
  finish(end);
  return end;
}

TrainEnd Trainer::run_stage(const StageConfig& stage, int64_t stop_at, Progress& progress) {
  if (position_.stage_step >= stage.steps) return TrainEnd::done;
  log_info("stage ", stage.name, ": ", stage.steps, " steps of ", stage.batch, " videos");
  const TrainData data = load_data(stage.data, 0, stage.frames);
  DataOrder order = data_order(stage, data);
  if (config_.samples.data.empty()) grid_.reset();  // the captions to draw are the stage's own
  metrics_ = Metrics();
  while (position_.stage_step < stage.steps) {
    const double lr = learning_rate(stage.schedule, stage.lr, position_.stage_step, stage.steps);
    metrics_.add(state_.train_step({.step = position_.step, .lr = lr, .pieces = next_batch(stage, data, order)}));
    ++position_.stage_step;
    ++position_.step;
    after_step(stage, lr, progress);
    if (interrupted() || position_.step == stop_at) return TrainEnd::interrupted;
    if (config_.max_minutes > 0 && clock_.seconds() > 60 * config_.max_minutes) return TrainEnd::out_of_time;
  }
  return TrainEnd::done;
}

DataOrder Trainer::data_order(const StageConfig& stage, const TrainData& data) const {
  return DataOrder(config_.seed, "order of " + stage.name, data.size());
}

std::vector<TrainBatch> Trainer::next_batch(const StageConfig& stage, const TrainData& data, DataOrder& order) const {
  const std::vector<bool> dropped = draw_dropout(config_.seed, position_.step, stage.batch, config_.caption_dropout);
  std::vector<TrainBatch> pieces;
  const int64_t piece_videos = stage.batch / stage.accumulation;
  for (int64_t first = 0; first < stage.batch; first += piece_videos) {
    std::vector<Pick> picks;
    for (int64_t i = first; i < first + piece_videos; ++i)
      picks.push_back({order.at(position_.stage_step * stage.batch + i), dropped[i]});
    pieces.push_back(data.batch(picks));
  }
  return pieces;
}

void Trainer::after_step(const StageConfig& stage, double lr, Progress& progress) {
  const bool log_due = position_.step % config_.log_every == 0;
  if (log_due) note_ = log(stage, lr);
  progress.advance(1, note_);

  const bool save_due = position_.step % config_.checkpoint_every == 0;
  const bool draw_due = config_.samples.every > 0 && position_.step % config_.samples.every == 0;
  if (!save_due && !draw_due) return;
  synchronize(state_.device());  // so that the steps under way count as training time
  const double begin = clock_.seconds();
  if (save_due) save();
  if (draw_due) draw();
  metrics_.exclude(clock_.seconds() - begin);
}

std::string Trainer::log(const StageConfig& stage, double lr) {
  const nlohmann::json means = metrics_.take();
  nlohmann::json line = {{"step", position_.step},
                         {"stage", stage.name},
                         {"lr", lr},
                         {"seconds", clock_.seconds()},
                         {"peak_bytes", peak_memory(state_.device())}};
  line.update(means);
  log_->write(line);
  check(means.at("skipped").get<int64_t>() < means.at("steps").get<int64_t>(), "no finite gradient in the ",
        means.at("steps").get<int64_t>(), " steps before step ", position_.step, "; the last checkpoint is of step ",
        saved_step_);
  std::ostringstream note;
  note << std::setprecision(4) << "loss " << means.at("loss").get<double>() << "  grad "
       << means.at("gradient_norm").get<double>() << "  " << means.at("videos_per_second").get<double>() << " video/s";
  return note.str();
}

void Trainer::save() {
  if (saved_step_ == position_.step) return;
  const CheckpointContents contents = {.step = position_.step,
                                       .state = {{"stage", position_.stage},
                                                 {"stage_step", position_.stage_step},
                                                 {"seconds", clock_.seconds()},
                                                 {"identity", run_identity(config_)}},
                                       .parts = to_maps(state_.parts()),
                                       .config = to_toml(config_)};
  save_checkpoint(run_, contents, config_.keep_checkpoints);
  saved_step_ = position_.step;
}

void Trainer::draw() {
  if (!grid_) {
    const std::string own = config_.stage[std::min(position_.stage, config_.stage.size() - 1)].data;
    grid_ = std::make_unique<SampleGrid>(
        config_, load_data(config_.samples.data.empty() ? own : config_.samples.data, config_.samples.videos),
        state_.device());
  }
  make_folder(run_ / "samples");
  grid_->draw(state_, run_ / "samples" / step_name(position_.step));
}

void Trainer::finish(TrainEnd end) {
  save();
  if (end == TrainEnd::interrupted) {
    log_info("interrupted after step ", position_.step, "; go on with --resume auto");
    return;
  }
  if (config_.samples.every > 0) draw();
  const EmaScope averaged(state_.ema());
  export_model(run_ / "model", state_.models(), config_);
  log_info(end == TrainEnd::out_of_time ? "time is up after step " : "done after step ", position_.step, ": model in ",
           (run_ / "model").string());
}

TrainData Trainer::load_data(const std::string& folder, int64_t limit, int64_t frames) const {
  return TrainData({.folder = folder,
                    .negative_prompt = config_.negative_prompt,
                    .text_len = config_.transformer.text_len,
                    .patch_size = config_.transformer.patch_size,
                    .device = state_.device(),
                    .on_device = config_.cache == "device",
                    .limit = limit,
                    .frames = frames},
                   tokenizer_);
}

TrainEnd train(const TrainConfig& config, const std::string& resume) {
  return Trainer(config, begin_run(config.out, resume)).run();
}

}  // namespace moga
