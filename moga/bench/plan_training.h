// `moga plan --train`: peak memory and time of a training run before it starts, by rehearsing its train step.
#pragma once

#include "moga/bench/plan.h"
#include "moga/bench/stage_shape.h"
#include "moga/train/video/config.h"

namespace moga {

// With recomputation or sharding "auto" the fastest way that fits is chosen: the plan says which (Plan::recompute,
// Plan::shard); where none fits it is the one that needs least. Of equally fast ways the one that shards less.
//
// On several ranks bytes are those of one of them. Sums and gathers over the ranks take at least their bytes over the
// rate of the link, where they do not hide behind the computation.
//
// One phase per stage, of the same name, with the seconds of all its train steps, and one for all evaluations of the
// held-out loss. Not counted: reading, checkpoints, contact sheets.
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
  int64_t ranks = 1;      // over which the state is sharded, of which one is rehearsed
  bool evaluate = false;  // a forward pass alone, as for the held-out loss
};
Rehearsed rehearse_training(const TrainingRehearsal& rehearsal, c10::Device device, c10::ScalarType dtype);

}  // namespace moga
