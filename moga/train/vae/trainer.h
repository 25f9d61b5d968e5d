// Training of the VAE on stories: clips from the pool, reconstruction loss, AdamW, EMA, checkpoints; then the
// statistics of its latents.
//
//   RUN/log.jsonl  RUN/config.toml  RUN/step-00000500/  RUN/samples/step-00000500.png  RUN/model/
//
// A run ends when its steps are done, when its time is up, or when it is interrupted: then it saves and says how to go
// on. A resumed run goes on bit for bit. With the encoder frozen only the decoder learns, so latents made before stay
// valid. The transformer's training is trainer.h.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "moga/core/log.h"
#include "moga/train/loop/ema.h"
#include "moga/train/loop/optimizer.h"
#include "moga/train/loop/run.h"
#include "moga/train/vae/story_clips.h"
#include "moga/train/vae/config.h"

namespace moga {

class VaeTrainer {
 public:
  // Throws when `checkpoint` was made with another model, seed or data, naming the key.
  VaeTrainer(const VaeTrainConfig& config, const std::optional<Checkpoint>& checkpoint = std::nullopt);

  // `stop_after`: end as if interrupted after so many steps; -1: go on to the end.
  TrainEnd run(int64_t stop_after = -1);

  Vae& model() { return vae_; }
  int64_t step() const { return step_; }

 private:
  VaeLoss train_step();
  VaeLoss forward(const Clips& clips);
  Posterior encode(const at::Tensor& video);  // float32; without autograd when the encoder is frozen
  void measure(const VaeLoss& loss, const AdamW::Step& update);
  void after_step(Progress& progress);
  std::string log();  // returns the note of the progress line
  void load(const Checkpoint& checkpoint);
  void save();
  void compare();
  void compute_statistics();
  void finish(TrainEnd end);
  TrainParts parts() const;
  nlohmann::json identity() const;

  VaeTrainConfig config_;
  std::filesystem::path run_;
  at::Device device_;
  at::ScalarType dtype_;
  Vae vae_;
  NamedTensors parameters_;
  AdamW optimizer_;
  Ema ema_;
  StoryClips clips_, held_out_;
  std::unique_ptr<JsonLog> log_;
  std::string note_;
  int64_t step_ = 0, saved_step_ = -1, logged_step_ = 0;
  at::Tensor sums_;  // [6] float32 on the device, since the last log line
  double logged_seconds_ = 0;
  RunClock clock_;
};

// What `moga train vae` does: opens the checkpoint that --resume asks for ("" none, "auto", a folder) and runs.
TrainEnd train_vae(const VaeTrainConfig& config, const std::string& resume = "");

}  // namespace moga
