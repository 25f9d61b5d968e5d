// The state of the VAE's causal layers between the chunks of one clip.
//
// A causal convolution over time needs the few frames before those it is given. Each layer asks for them in turn, once
// a chunk, so the cache is a row of slots and a cursor. A clip evaluated at once is the same computation with a single
// chunk, whose end nobody needs: then nothing is kept, and no gradient graph is held alive.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace moga {

class FeatureCache {
 public:
  enum class Clip { whole, chunked };
  explicit FeatureCache(Clip clip) : keep_(clip == Clip::chunked) {}

  // Before the second and every later chunk.
  void next_chunk();
  // The first chunk begins with pixel frame 0, which has a latent frame of its own.
  bool first_chunk() const { return first_chunk_; }

  // x [B, C, T, Y, X] after the `count` frames that precede it → [B, C, count + T, Y, X]; frames before the clip
  // are zero. Keeps the last `count` frames of the result for the next chunk.
  at::Tensor extend(const at::Tensor& x, int64_t count);
  // The same with the result's frames of x filled in by `write`, which gets them as a view: no copy of x is made.
  // Unless undefined, `kept` [B, C, count, Y, X] gets the last of them once more, for the next chunk: written while
  // they are in registers, they need not be read again. Only without gradients; the result is channels-last.
  using Write = std::function<void(const at::Tensor& frames, const at::Tensor& kept)>;
  at::Tensor extend(const at::Tensor& x, int64_t count, const Write& write);

 private:
  // The last `count` frames of the result into the slot, and on to the next slot.
  void keep(const at::Tensor& extended, int64_t count);
  void fill_slot(const at::Tensor& kept);

  bool keep_;
  bool first_chunk_ = true;
  size_t cursor_ = 0;
  std::vector<at::Tensor> past_;
};

}  // namespace moga
