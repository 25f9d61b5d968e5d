// Clips to train the VAE on: a pool of pictures held on the training device, from which random clips are cut. The pool
// is renewed one item at a time during training, and follows from the number of items drawn so far alone; a resumed run
// draws the same. story_clips.h draws stories, film_clips.h reads films.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>

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

class ClipPool {
 public:
  virtual ~ClipPool() = default;
  // Rows and columns that every item of the pool has.
  virtual int64_t height() const = 0;
  virtual int64_t width() const = 0;
  // Whether Clips::detail is known; else it is 0 everywhere.
  virtual bool has_detail() const = 0;

  // Holds the items [drawn − size of the pool, drawn) from now on; draws those that are missing.
  virtual void advance(int64_t drawn) = 0;
  // Random items and places. Clips begin where a latent frame may begin, so that cuts stay between latent frames.
  // `random` is a generator of the CPU.
  virtual Clips draw(const ClipShape& shape, at::Generator random) const = 0;
  // Pictures of height() x width() of the items first, first + 1, … of the pool, from their first frame.
  virtual Clips whole(int64_t first, int64_t clips, int64_t frames) const = 0;
};

}  // namespace moga
