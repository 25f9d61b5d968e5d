// Training of a small text encoder on captions of stories: a fact reader (fact_reader.h) must find in the encoded
// tokens what the caption tells, cross-entropy over the facts told. Video training begins from the result, as Wan2.1
// begins from a trained UMT5: which colour belongs to which garment is then already in the tokens.
//
//   RUN/log.jsonl  RUN/config.toml  RUN/model/
//
// A run takes minutes and keeps no checkpoints: interrupted, it keeps nothing and says so.
#pragma once

#include <map>

#include "moga/model/text/text_encoder.h"
#include "moga/train/loop/run.h"
#include "moga/train/text/config.h"

namespace moga {

struct TextTrainResult {
  TrainEnd end = TrainEnd::done;
  std::map<std::string, double> accuracy;  // of each kind of fact on held-out captions, at the end
};
TextTrainResult train_text(const TextTrainConfig& config);

}  // namespace moga
