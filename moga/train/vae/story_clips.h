// Clips to train the VAE on: a pool of stories held on the training device, from which random clips and crops are cut.
//
// Rendering all of them again would delay a train step, so the pool is renewed one story at a time during training.
// Its content follows from (seed, purpose, count of stories drawn so far) alone; a resumed run draws the same pool
// again.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "moga/data/story/ahead.h"

namespace moga {

struct ClipShape {
  int64_t clips = 1;   // B
  int64_t frames = 1;  // T, see Strides::pixel_frames
  int64_t height = 0, width = 0;
};

struct Clips {
  at::Tensor video;   // float32 [B, 3, T, Y, X] in [-1, 1]
  at::Tensor detail;  // float32 [B, 1, T, Y, X]: 2 on a person's head and hat, 1 on the rest of a person, else 0
};

class StoryClips {
 public:
  struct Source {
    StoryConfig story;
    uint64_t seed = 0;
    std::string purpose;  // names the random stream: training and held-out stories differ
    int64_t stories = 1;  // held at once
  };
  StoryClips(Source source, at::Device device);

  // Holds the stories [drawn − stories, drawn) from now on; draws those that are missing.
  void advance(int64_t drawn);
  int64_t drawn() const { return drawn_; }

  // Random stories and places. Clips begin at the first pixel frame of a latent frame, so that cuts are between latent
  // frames as in the stories themselves. `random` is a generator of the CPU.
  Clips draw(const ClipShape& shape, at::Generator random) const;
  // Whole pictures of the stories first, first + 1, … of the pool, from frame 0.
  Clips whole(int64_t first, int64_t clips, int64_t frames) const;

 private:
  struct Cut {
    int64_t story, frame, row, column;
  };
  Clips cut(const std::vector<Cut>& cuts, const ClipShape& shape) const;

  Source source_;
  StoryAhead ahead_;
  int64_t drawn_ = 0;
  std::vector<at::Tensor> pool_;  // uint8 [T, 4, Y, X]: red, green, blue, detail
};

}  // namespace moga
