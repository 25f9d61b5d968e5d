// What a train step of each stage computes, as `moga plan --train` rehearses it: the sizes of its data, and the part of
// them that one rank of a mesh has.
#pragma once

#include <optional>
#include <vector>

#include "moga/attention/layout.h"
#include "moga/train/video/config.h"

namespace moga {

// An evaluation on held-out data in a stage: forward passes of one video each.
struct HeldOutShape {
  VideoShape video;         // the largest
  int64_t evaluations = 0;  // in the whole stage
  int64_t passes = 0;       // of an evaluation, on one data rank
  double work = 1;          // as StageShape's
};

// The data of a train step of a stage.
struct StageShape {
  VideoShape video;        // the largest of the stage
  int64_t data_bytes = 0;  // latents that stay on the device
  double work = 1;         // time of a train step, compared with that of `video` alone
  std::optional<HeldOutShape> held_out = {};
};
// Reads it from the shards of stage number `index` and of the held-out data, from up to 64 samples of each.
StageShape stage_shape(const TrainConfig& config, size_t index);
std::vector<StageShape> stage_shapes(const TrainConfig& config);

// Ranks along each axis of a mesh (parallel/mesh.h).
struct MeshSize {
  int64_t data = 1, sequence = 1;
  int64_t ranks() const { return data * sequence; }
};

// What one rank of the mesh computes of each stage, as a run of its own: its videos, and the frames of its slice.
// Changes the shapes as well. A slice's queries attend to the keys of all slices, so that its work is an equal part of
// the whole video's FLOP, which is more than that of a video of its length.
TrainConfig part_of_rank(TrainConfig config, std::vector<StageShape>& stages, const MeshSize& mesh);

}  // namespace moga
