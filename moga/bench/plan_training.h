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

// Ranks along each axis of a mesh (parallel/mesh.h).
struct MeshSize {
  int64_t data = 1, sequence = 1;
  int64_t ranks() const { return data * sequence; }
};

// With recomputation or sharding "auto" the fastest way that fits is chosen: the plan says which (Plan::recompute,
// Plan::shard); where none fits it is the one that needs least. Of equally fast ways the one that shards less.
//
// On several ranks bytes are those of one of them. Sums and gathers over the ranks take at least their bytes over the
// rate of the link, where they do not hide behind the computation.
//
// One phase per stage, of the same name, with the seconds of all its train steps. Not counted: reading, checkpoints,
// contact sheets.
Plan plan_training(const TrainConfig& config, const std::vector<StageShape>& stages, c10::Device device,
                   c10::ScalarType dtype, const MeshSize& mesh = {});

// Forward and backward of one piece of `videos` videos. Weights: masters, moments, average and, when `optimize`, one
// whole train step in place of the gradient alone.
struct TrainingRehearsal {
  TrainConfig config;  // with the number of layers to rehearse; no files are read
  VideoShape video;
  int64_t videos = 1;
  int64_t pieces = 1;  // pieces per batch
  bool optimize = false;
  int64_t ranks = 1;  // over which the state is sharded, of which one is rehearsed
};
Rehearsed rehearse_training(const TrainingRehearsal& rehearsal, c10::Device device, c10::ScalarType dtype);

}  // namespace moga
