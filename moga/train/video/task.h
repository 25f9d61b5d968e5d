// The task of training a video transformer, with or without its text encoder, on latent shards in stages. The loop is
// train/loop/trainer.h, the mathematics of one step train_step.h.
#pragma once

#include <memory>
#include <optional>

#include "moga/train/loop/trainer.h"
#include "moga/train/video/batches.h"
#include "moga/train/video/held_out.h"
#include "moga/train/video/sample_grid.h"

namespace moga {

class VideoTask : public TrainTask {
 public:
  // config.parallel says how `mesh` was made; config.device is this rank's.
  explicit VideoTask(const TrainConfig& config, const Mesh& mesh = {});

  std::string label() const override { return "train"; }
  std::string summary() const override;
  std::string config_toml() const override;
  std::vector<TrainStage> stages() const override;
  nlohmann::json identity() const override;
  TrainParts parts() const override { return state_.parts(); }
  Placements placements() const override { return state_.placements(); }
  std::string start_digest() const override { return state_.start_digest(); }
  void restored() override { state_.restored(); }

  void begin_stage(const TrainPosition& position) override;
  StepReport step(const TrainPosition& position) override;
  void complete(nlohmann::json& line, const at::Tensor& counts) const override;
  std::string note(const nlohmann::json& line) const override;
  nlohmann::json held_out(const TrainPosition& position) override;
  nlohmann::json sample(const TrainPosition& position, const std::filesystem::path& prefix) override;
  std::string save_model(const TrainPosition& position, const std::filesystem::path& folder) override;

  // The videos that this data rank takes from the batch of the train step after `position`, in pieces.
  std::vector<TrainBatch> next_batch(const TrainData& data, StageBatches& batches, const TrainPosition& position) const;
  // `limit`: only so many videos, which are kept in host memory; 0: all.
  TrainData load_data(const std::string& folder, int64_t limit, int64_t frames = 0, int64_t first = 0) const;
  StageBatches batches_of(const StageConfig& stage, const TrainData& data) const;
  TrainState& state() { return state_; }
  const TrainState& state() const { return state_; }

 private:
  TrainConfig config_;
  std::optional<Tokenizer> tokenizer_;  // absent with stored text
  TrainState state_;
  size_t stage_ = 0;
  std::unique_ptr<TrainData> data_;  // of the current stage
  std::optional<StageBatches> batches_;
  std::unique_ptr<SampleGrid> grid_;
  std::unique_ptr<HeldOut> held_out_;
};

LoopConfig loop_config(const TrainConfig& config, const Mesh& mesh = {});

// What `moga train` does: opens the checkpoint that --resume asks for ("" none, "auto", a folder) and runs.
// `planned`: "planned 31.2 GiB", for the message when memory runs out; may be empty. Every rank of a mesh calls it.
TrainEnd train(const TrainConfig& config, const std::string& resume, const std::string& planned = "",
               const Mesh& mesh = {});

}  // namespace moga
