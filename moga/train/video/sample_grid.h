// Contact sheets during a run: videos sampled from the captions of a few training videos with the averaged weights,
// decoded by the codec. One PNG per video, one row per shot.
#pragma once

#include <filesystem>

#include "moga/model/codec.h"
#include "moga/train/video/train_step.h"

namespace moga {

class SampleGrid {
 public:
  // `data`: a few videos, whose captions, shots and sizes are drawn.
  SampleGrid(const TrainConfig& config, TrainData data, at::Device device);

  // Writes PREFIX-0.png, PREFIX-1.png, …. The same noise every time, so that sheets of one run can be compared. Where
  // the state is sharded, every rank calls it, and rank 0 writes.
  void draw(TrainState& state, const std::filesystem::path& prefix);

 private:
  void save_sheet(const at::Tensor& latent, const VideoShape& shape, const std::filesystem::path& path);

  TrainConfig config_;
  TrainData data_;
  CodecPtr vae_;  // float32: its decoder shows every rounding error
};

}  // namespace moga
