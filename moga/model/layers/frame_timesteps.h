// Timesteps of videos in which some latent frames are given rather than denoised (Wan2.2-TI2V-5B): a given frame has
// timestep 0, all others the video's.
//
// A timestep is a vector of the modulation, and the rows that share it are a run of frames: a Segment. So the blocks
// compute as for one timestep per video; the runs of a video only add a few vectors and segments.
#pragma once

#include <ATen/core/Tensor.h>

#include "moga/attention/segments.h"

namespace moga {

struct FrameTimesteps {
  Segments segments;    // one vector per run of frames
  at::Tensor video;     // [V] int64: whose timestep; undefined: one vector per video
  at::Tensor denoised;  // [V] float32: 1, or 0 for a given run

  // [B] → [V]
  at::Tensor of(const at::Tensor& timestep) const;
};

// `given`: frames of each video, ascending; empty: none in any. Throws when a frame is not one of its video's.
FrameTimesteps frame_timesteps(const Layout& layout, const std::vector<std::vector<int64_t>>& given, at::Device device);

}  // namespace moga
