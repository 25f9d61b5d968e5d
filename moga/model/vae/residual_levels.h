// The levels of Wan2.2's video autoencoder (TI2V-5B). Each is the layers of a Wan2.1 level plus a shortcut without
// weights around all of them:
//
//   down  y = resample(residual blocks(x)) + average(x)     mean over groups of (channel, frame, row, column) positions
//   up    y = resample(residual blocks(x)) + duplicate(x)   each input channel fills several output positions
//
// Both shortcuts treat frame 0 as the resampling does: it stays a single frame.
#pragma once

#include "moga/model/vae/layer_list.h"

namespace moga {

// How many frames, rows and columns become one, or one becomes.
struct ResampleFactor {
  int64_t frames = 1, side = 1;
  int64_t positions() const { return frames * side * side; }
};

// [B, C, T, Y, X] → [B, out, T', Y / side, X / side], T' = ⌈T / frames⌉: a zero frame is put before an odd number of
// frames, as in the original. The C · positions values of an output position, ordered by channel, frame, row and
// column, are averaged in `out` equal groups.
at::Tensor average_shortcut(const at::Tensor& x, int64_t out, ResampleFactor factor);
// [B, C, T, Y, X] → [B, out, T', side · Y, side · X]: the out · positions values of an input position are its C
// channels, each repeated. In the first chunk of a clip frame 0 becomes one frame, T' = frames · (T − 1) + 1.
at::Tensor duplicate_shortcut(const at::Tensor& x, int64_t out, ResampleFactor factor, bool first_chunk);

struct ResidualLevelConfig {
  int64_t in = 0, out = 0;  // channels
  int64_t blocks = 0;       // residual blocks
  bool resample = false;    // whether height and width change, the last level's do not
  bool time = false;        // whether time changes too
  double dropout = 0;

  ResampleFactor factor() const { return {.frames = resample && time ? 2 : 1, .side = resample ? 2 : 1}; }
};

class ResidualDownImpl : public VaeLayer {
 public:
  explicit ResidualDownImpl(const ResidualLevelConfig& config);
  at::Tensor forward(const at::Tensor& x, FeatureCache& cache) override;

 private:
  ResidualLevelConfig config_;
  VaeLayers downsamples_;
};

// Without resampling there is no shortcut.
class ResidualUpImpl : public VaeLayer {
 public:
  explicit ResidualUpImpl(const ResidualLevelConfig& config);
  at::Tensor forward(const at::Tensor& x, FeatureCache& cache) override;

 private:
  ResidualLevelConfig config_;
  VaeLayers upsamples_;
};

}  // namespace moga
