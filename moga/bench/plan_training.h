// `moga plan --train`: peak memory and time of a training run before it starts, by rehearsing its train step.
#pragma once

#include "moga/bench/plan.h"
#include "moga/train/video/config.h"

namespace moga {

// The data of a train step of a stage.
struct StageShape {
  VideoShape video;        // the largest of the stage
  int64_t data_bytes = 0;  // latents that stay on the device
};
// Reads it from the stage's shards, from up to 64 samples.
StageShape stage_shape(const TrainConfig& config, const StageConfig& stage);

// With recomputation "auto" the fastest way that fits is chosen: the plan says which (Plan::recompute); where none fits
// it is the one that needs least.
//
// One phase per stage, of the same name, with the seconds of all its train steps. Not counted: reading, checkpoints,
// contact sheets.
Plan plan_training(const TrainConfig& config, const std::vector<StageShape>& stages, c10::Device device,
                   c10::ScalarType dtype);

// Forward and backward of one piece of `videos` videos. Weights: masters, moments, average and, when `optimize`, one
// whole train step in place of the gradient alone.
struct TrainingRehearsal {
  TrainConfig config;  // with the number of layers to rehearse; no files are read
  VideoShape video;
  int64_t videos = 1;
  int64_t pieces = 1;  // pieces per batch
  bool optimize = false;
};
Rehearsed rehearse_training(const TrainingRehearsal& rehearsal, c10::Device device, c10::ScalarType dtype);

}  // namespace moga
