// Training of a video transformer as a task of the loop. See task.h.
#include "moga/train/video/task.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <iomanip>
#include <sstream>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/data/dataset/shards.h"
#include "moga/model/registry.h"
#include "moga/train/loop/out_of_memory.h"
#include "moga/train/video/run_identity.h"
#include "moga/train/video/run_inputs.h"
#include "moga/train/video/shard_units.h"

namespace moga {
namespace {

constexpr int64_t kBatchesAhead = 2;  // that a streamed stage reads before they are needed

// "stage.0.accumulation=4": what lowers the memory of a run, and is not set already.
std::string advice(const TrainConfig& config, int64_t ranks) {
  std::vector<std::string> less;
  for (size_t i = 0; i < config.stage.size(); ++i) {
    const StageConfig& stage = config.stage[i];
    const std::string prefix = "stage." + std::to_string(i);
    if (stage.tokens_per_batch > 0)
      less.push_back(prefix + ".accumulation=" + std::to_string(2 * stage.accumulation));
    else if (stage.accumulation < stage.videos())
      less.push_back(prefix + ".accumulation=" + std::to_string(stage.videos()));
    else
      less.push_back("fewer latent frames (" + prefix + ".frames)");
  }
  if (config.recompute.mode != Recompute::kFull) less.push_back("recompute.mode=full");
  if (!config.recompute.offload_inputs) less.push_back("recompute.offload_inputs=true");
  if (config.cache == LatentCache::kDevice) less.push_back("cache=host");
  if (ranks > 1 && config.parallel.shard != Shard::kFull) less.push_back("parallel.shard=full");
  if (config.weights == Storage::kFloat32) less.push_back("weights=bfloat16");
  if (config.optimizer.moments == Storage::kFloat32) less.push_back("optimizer.moments=bfloat16");
  if (config.ema > 0 && config.ema_place == EmaPlace::kDevice) less.push_back("ema_device=host");
  if (config.text == TextSource::kEncoder && !config.train_text_encoder) less.push_back("text=stored");
  std::string text;
  for (const std::string& item : less) text += (text.empty() ? "" : ", ") + item;
  return text;
}

// Width and height in pixels of the last stage's first video; empty without a VAE.
std::vector<int64_t> trained_size(const TrainConfig& config) {
  if (config.vae.empty()) return {};
  const Strides pixels = load_codec_config(std::filesystem::path(config.vae) / "config.json")->strides();
  const at::Tensor latent = ShardDataset(config.stage.back().data, /*open_shards=*/1).get(0).latent;
  return {latent.size(3) * pixels.columns, latent.size(2) * pixels.rows};
}

}  // namespace

VideoTask::VideoTask(const TrainConfig& config, const Mesh& mesh)
    : config_(config),
      state_(config, parse_device(config.device), compute_dtype(config.dtype, parse_device(config.device)), mesh) {
  config.transformer->check_sequence_ranks(mesh.sequence().size());
  for (const StageConfig& stage : config.stage)
    check(stage.tokens_per_batch > 0 || stage.videos() % mesh.data().size() == 0, "stage '", stage.name, "': batch is ",
          stage.videos(), ", expected a multiple of the ", mesh.data().size(), " data ranks (parallel.data)");
  if (config.text == TextSource::kStored) return;
  tokenizer_.emplace(config.tokenizer);
  check(tokenizer_->vocab_size() <= config.text_encoder.vocab_size, config.tokenizer, " knows ",
        tokenizer_->vocab_size(), " text tokens, text_encoder.vocab_size is ", config.text_encoder.vocab_size);
}

std::string VideoTask::summary() const {
  std::ostringstream text;
  text << static_cast<double>(state_.parameter_count()) / 1e6 << " M parameters on " << device_name(state_.device())
       << ", computing in " << dtype_name(state_.dtype());
  if (const Mesh& mesh = state_.mesh(); mesh.world().size() > 1)
    text << ", on " << mesh.world().size() << " ranks: data " << mesh.data().size() << " x sequence "
         << mesh.sequence().size() << ", sharded: " << name_of(shard_of(config_, mesh.world()));
  return text.str();
}

std::string VideoTask::config_toml() const {
  TrainConfig config = config_;
  if (state_.mesh().world().size() > 1) config.device = state_.device().is_cuda() ? "cuda" : "cpu";  // not one rank's
  return to_toml(config);
}

nlohmann::json VideoTask::identity() const { return run_identity(config_); }

std::vector<TrainStage> VideoTask::stages() const {
  std::vector<TrainStage> stages;
  for (const StageConfig& stage : config_.stage) stages.push_back({stage.name, stage.steps});
  return stages;
}

void VideoTask::begin_stage(const TrainPosition& position) {
  stage_ = position.stage;
  const StageConfig& stage = config_.stage[stage_];
  log_info("stage ", stage.name, ": ", stage.steps, " steps of ",
           stage.tokens_per_batch > 0 ? "up to " + std::to_string(stage.tokens_per_batch) + " tokens"
                                      : std::to_string(stage.videos()) + " videos");
  data_.reset();
  data_ = std::make_unique<TrainData>(load_data(stage.data, 0, stage.frames));
  batches_.emplace(batches_of(stage, *data_));
  int64_t own_videos = 0;
  for (const auto& piece : batches_->at(position.stage_step).pieces) own_videos += static_cast<int64_t>(piece.size());
  data_->read_ahead(batches_->own_videos_from(position.stage_step), 0, kBatchesAhead * own_videos);
  if (config_.samples.data.empty()) grid_.reset();  // the captions to draw are the stage's own
  if (config_.held_out.data.empty() || config_.held_out.frames == 0) held_out_.reset();
}

StepReport VideoTask::step(const TrainPosition& position) {
  const StageConfig& stage = config_.stage[stage_];
  const double lr = learning_rate(stage.schedule, stage.lr, position.stage_step, stage.steps);
  const StepResult result =
      state_.train_step({.step = position.step, .lr = lr, .pieces = next_batch(*data_, *batches_, position)});
  StepReport report = {.lr = lr,
                       .values = {{"loss", result.flow},
                                  {"gradient_norm", result.gradient_norm},
                                  {"gradient_norms", result.gradient_norms}},
                       .skipped = result.skipped,
                       .counts = result.group_histogram,
                       .throughput = {{"videos", result.videos}, {"tokens", result.tokens}}};
  // Without its weight, as calibration reports it: 1 is balanced.
  if (const double weight = config_.transformer->attention().balance_weight; result.balance.defined() && weight > 0)
    report.values.emplace_back("balance", result.balance / weight);
  if (result.gate_sum.defined())
    report.values.emplace_back("gate", result.gate_sum / static_cast<double>(result.tokens));
  return report;
}

StageBatches VideoTask::batches_of(const StageConfig& stage, const TrainData& data) const {
  const int64_t kept = config_.held_out.of_own_data();
  check(kept < data.size(), "stage '", stage.name, "': ", stage.data, " has ", data.size(),
        " videos, held_out.videos = ", kept, " of them would not be trained on");
  const ProcessGroup& ranks = state_.mesh().data();
  const BatchRule rule = {.videos = stage.videos(),
                          .tokens = stage.tokens_per_batch,
                          .pieces = stage.accumulation,
                          .data_ranks = ranks.size(),
                          .data_rank = ranks.rank()};
  // A batch has a video for each data rank then.
  const int64_t largest = ranks.size() * *std::ranges::max_element(data.tokens());
  check(rule.tokens == 0 || rule.tokens >= largest, "stage '", stage.name, "': tokens_per_batch is ", rule.tokens,
        ", expected at least ", largest, ", the tokens of the largest video",
        ranks.size() > 1 ? " times the data ranks" : "");
  return StageBatches(DataOrder(config_.seed, "order of " + stage.name, data.size() - kept), rule, data.tokens());
}

std::vector<TrainBatch> VideoTask::next_batch(const TrainData& data, StageBatches& batches,
                                              const TrainPosition& position) const {
  const OwnBatch own = batches.at(position.stage_step);
  const std::vector<bool> dropped = draw_dropout(config_.seed, position.step, own.videos, config_.caption_dropout);
  std::vector<TrainBatch> pieces;
  auto next = static_cast<size_t>(own.first);
  for (const std::vector<int64_t>& videos : own.pieces) {
    std::vector<Pick> picks;
    for (const int64_t video : videos) picks.push_back({video, dropped[next++]});
    pieces.push_back(data.batch(picks));
  }
  return pieces;
}

// Names the norms of the gradients, adds the fraction of tokens of each group, [layers][M], and the largest group over
// the mean, [layers]. Lists by layer have a place for each block: null, or an empty list, where it has no router.
void VideoTask::complete(nlohmann::json& line, const at::Tensor& counts) const {
  const auto norms = line.at("gradient_norms").get<std::vector<double>>();
  state_.gradient_parts().complete(line, norms);
  if (!counts.defined()) return;
  const at::Tensor fractions = counts / counts.sum(1, true).clamp_min(1);  // [layers with a router, M]
  const int64_t groups = fractions.size(1);
  const auto gates = line.at("gate").get<std::vector<double>>();
  for (const char* key : {"groups", "imbalance", "gate"}) line[key] = nlohmann::json::array();
  const auto& full = config_.transformer->attention().full_layers;
  for (int64_t layer = 0, row = 0; layer < config_.transformer->shape().layers; ++layer) {
    const bool routed = std::ranges::count(full, layer) == 0;
    const double* of_row = routed ? fractions.const_data_ptr<double>() + row * groups : nullptr;
    const std::vector<double> filled = routed ? std::vector<double>(of_row, of_row + groups) : std::vector<double>();
    line["groups"].push_back(filled);
    line["imbalance"].push_back(routed ? nlohmann::json(*std::ranges::max_element(filled) * static_cast<double>(groups))
                                       : nlohmann::json());
    line["gate"].push_back(routed ? nlohmann::json(gates[row++]) : nlohmann::json());
  }
}

std::string VideoTask::note(const nlohmann::json& line) const {
  std::ostringstream note;
  note << std::setprecision(4) << "loss " << line.at("loss").get<double>() << "  grad "
       << line.at("gradient_norm").get<double>() << "  " << line.at("videos_per_second").get<double>() << " video/s";
  return note.str();
}

nlohmann::json VideoTask::held_out(const TrainPosition& position) {
  const HeldOutConfig& held_out = config_.held_out;
  if (!held_out_) {
    const StageConfig& stage = config_.stage[position.stage];
    const int64_t frames = held_out.frames > 0 ? held_out.frames : stage.frames;
    const int64_t first =
        held_out.data.empty() ? std::max<int64_t>(0, ShardDataset(stage.data, 1).size() - held_out.videos) : 0;
    held_out_ = std::make_unique<HeldOut>(
        config_, load_data(held_out.data.empty() ? stage.data : held_out.data, held_out.videos, frames, first));
  }
  return held_out_->measure(state_);
}

nlohmann::json VideoTask::sample(const TrainPosition& position, const std::filesystem::path& prefix) {
  if (!grid_) {
    const std::string& own = config_.stage[position.stage].data;
    grid_ = std::make_unique<SampleGrid>(
        config_, load_data(config_.samples.data.empty() ? own : config_.samples.data, config_.samples.videos),
        state_.device());
  }
  make_folder(prefix.parent_path());
  grid_->draw(state_, prefix);
  return nullptr;
}

std::string VideoTask::save_model(const TrainPosition&, const std::filesystem::path& folder) {
  const AveragedWeights averaged(state_);
  const bool writes = state_.mesh().world().rank() == 0;
  state_.gather_to_host(writes);
  if (writes) export_model(folder, state_.models(), config_, trained_size(config_));
  state_.back_to_buffers();
  return "model in " + folder.string();
}

TrainData VideoTask::load_data(const std::string& folder, int64_t limit, int64_t frames, int64_t first) const {
  const bool whole = limit == 0;  // a few videos to draw are kept
  return TrainData({.folder = folder,
                    .negative_prompt = config_.negative_prompt,
                    .text_len = config_.transformer->conditioning().text_tokens,
                    .patch = config_.transformer->patch(),
                    .device = state_.device(),
                    .cache = whole ? config_.cache : LatentCache::kHost,
                    .text_dtype = state_.dtype(),
                    .first = first,
                    .limit = limit,
                    .frames = frames,
                    .images = image_needs(config_)},
                   tokenizer_ ? &*tokenizer_ : nullptr);
}

LoopConfig loop_config(const TrainConfig& config, const Mesh& mesh) {
  LoopConfig loop = loop_config_of(config, config.samples.every, mesh.world());
  loop.held_out_every = config.held_out.every;
  return loop;
}

TrainEnd train(const TrainConfig& config, const std::string& resume, const std::string& planned, const Mesh& mesh) {
  check_inputs(config);
  const LoopConfig loop = loop_config(config, mesh);
  const std::optional<Checkpoint> checkpoint = begin_run(config.out, resume);
  return explain_out_of_memory({loop.device, planned, advice(config, mesh.world().size())}, [&] {
    VideoTask task(config, mesh);
    return Trainer(task, loop, checkpoint).run();
  });
}

}  // namespace moga
