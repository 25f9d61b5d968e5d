// The task of training a VAE on stories or films: clips from a pool, reconstruction loss, AdamW, EMA; at the end the
// statistics of its latents. With the encoder frozen only the decoder learns, so latents encoded before stay valid.
#pragma once

#include <memory>

#include "moga/train/loop/ema.h"
#include "moga/train/loop/optimizer.h"
#include "moga/train/loop/trainer.h"
#include "moga/train/vae/clip_pool.h"
#include "moga/train/vae/config.h"

namespace moga {

class VaeTask : public TrainTask {
 public:
  explicit VaeTask(const VaeTrainConfig& config);

  std::string label() const override { return "train vae"; }
  std::string summary() const override;
  std::string config_toml() const override;
  std::vector<TrainStage> stages() const override { return {{"", config_.steps}}; }
  nlohmann::json identity() const override;
  TrainParts parts() const override;

  StepReport step(const TrainPosition& position) override;
  void complete(nlohmann::json& line, const at::Tensor& counts) const override;
  std::string note(const nlohmann::json& line) const override;
  // Reconstructs held-out clips: PREFIX.png and PSNR.
  nlohmann::json sample(const TrainPosition& position, const std::filesystem::path& prefix) override;
  bool samples_the_start() const override { return !config_.init.empty(); }  // what there is to improve
  std::string save_model(const TrainPosition& position, const std::filesystem::path& folder) override;

  Vae& model() { return vae_; }

 private:
  int64_t drawn_by(int64_t step) const;
  VaeLoss forward(const Clips& clips, int64_t step);
  Posterior encode(const at::Tensor& video);  // float32; without autograd when the encoder is frozen
  void compute_statistics(int64_t steps);

  VaeTrainConfig config_;
  at::Device device_;
  at::ScalarType dtype_;
  Vae vae_;
  NamedTensors parameters_;
  AdamW optimizer_;
  Ema ema_;
  std::unique_ptr<ClipPool> clips_, held_out_;
};

LoopConfig loop_config(const VaeTrainConfig& config);

// What `moga train vae` does: opens the checkpoint that --resume asks for ("" none, "auto", a folder) and runs.
TrainEnd train_vae(const VaeTrainConfig& config, const std::string& resume = "");

}  // namespace moga
