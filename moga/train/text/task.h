// The task of training a small text encoder on captions. Those of stories: a fact reader (fact_reader.h) must find the
// caption's facts in the encoded tokens, with cross-entropy over the facts that it mentions. Those of prepared films: a
// word reader (word_reader.h) must find text tokens that were hidden. Video training starts from the result, as Wan2.1
// starts from a trained UMT5: the tokens then already encode which colour belongs to which garment.
#pragma once

#include <map>

#include "moga/model/text/text_encoder.h"
#include "moga/model/text/tokenizer.h"
#include "moga/train/loop/optimizer.h"
#include "moga/train/loop/trainer.h"
#include "moga/train/text/config.h"
#include "moga/train/text/fact_reader.h"
#include "moga/train/text/word_reader.h"

namespace moga {

class TextTask : public TrainTask {
 public:
  explicit TextTask(const TextTrainConfig& config);

  std::string label() const override { return "train text"; }
  std::string summary() const override;
  std::string config_toml() const override;
  std::vector<TrainStage> stages() const override { return {{"", config_.steps}}; }
  nlohmann::json identity() const override;
  TrainParts parts() const override;

  StepReport step(const TrainPosition& position) override;
  std::string note(const nlohmann::json& line) const override;
  // The accuracy of each kind of fact, or of hidden words, on held-out captions, under "held_out".
  nlohmann::json sample(const TrainPosition& position, const std::filesystem::path& prefix) override;
  std::string save_model(const TrainPosition& position, const std::filesystem::path& folder) override;

  const std::map<std::string, double>& accuracy() const { return accuracy_; }  // of the last sample()

 private:
  struct Captions {
    TokenBatch tokens;   // on the device
    at::Tensor targets;  // int64 [B, facts], or [B, L]: hidden text tokens; kNotTold where nothing is asked
  };
  // What is asked, and what was answered.
  struct Answers {
    at::Tensor logits, targets;  // [N, classes], int64 [N]
  };
  bool reads_films() const { return !config_.data.empty(); }
  Captions draw(bool held_out, int64_t first, int64_t count) const;
  Captions draw_stories(const std::string& purpose, int64_t first, int64_t count) const;
  Captions draw_films(bool held_out, int64_t first, int64_t count) const;
  Answers answers(const Captions& captions);

  TextTrainConfig config_;
  at::Device device_;
  at::ScalarType dtype_;
  Tokenizer tokenizer_;
  TextEncoder encoder_ = nullptr;
  std::vector<std::string> captions_, held_out_;  // of films
  FactReader facts_ = nullptr;                    // one of the two
  WordReader words_ = nullptr;
  NamedTensors parameters_;
  std::optional<AdamW> optimizer_;
  std::map<std::string, double> accuracy_;
};

LoopConfig loop_config(const TextTrainConfig& config);

struct TextTrainResult {
  TrainEnd end = TrainEnd::done;
  std::map<std::string, double> accuracy;  // of each kind of fact, or of hidden words, on held-out captions, at the end
};
// What `moga train text` does: opens the checkpoint that --resume asks for ("" none, "auto", a folder) and runs.
TextTrainResult train_text(const TextTrainConfig& config, const std::string& resume = "");

}  // namespace moga
