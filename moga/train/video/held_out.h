// The loss on held-out videos, on a fixed set of (latent, noise, time) triples, so that its curve says something where
// that of training says how hard the last batches were.
//
// Each video is noised to a few times, evenly spread over the quantiles of the distribution that training draws from,
// each video at other ones; noise and times depend on [held_out] and [flow] alone, not on the run's seed. A triple is a
// forward pass of its own with the video's captions. Data ranks take different triples; sums have one order. So the
// number is that of the weights alone: the same on any mesh (up to the rounding of slices of a sequence) and after
// resuming.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "moga/train/video/train_step.h"

namespace moga {

class HeldOut {
 public:
  // `data`: the held-out videos, all of which are used.
  HeldOut(const TrainConfig& config, TrainData data);

  // {"held_out_loss": mean over the triples, "held_out_by_time": {mean time: mean loss there}, "held_out_seconds": …}
  // with the averaged or the current weights. Every rank calls it; training's random numbers are not touched.
  nlohmann::json measure(TrainState& state) const;

  double time_of(int64_t triple) const;  // t of triple `video · times + i`

 private:
  at::Tensor loss_of(TrainState& state, int64_t triple) const;

  HeldOutConfig config_;
  FlowConfig flow_;
  TrainData data_;
};

}  // namespace moga
