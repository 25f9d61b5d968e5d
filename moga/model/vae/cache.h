// The state of the VAE's causal layers between the chunks of one clip.
//
// A causal convolution over time needs a few frames before its input. Layers request them in a fixed order, once per
// chunk, so the cache is a list of slots with a cursor. A clip evaluated at once is the same computation with a single
// chunk, whose last frames are not needed afterwards; then nothing is cached, and no autograd graph is kept alive.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace moga {

class FeatureCache {
 public:
  enum class Clip { whole, chunked };
  explicit FeatureCache(Clip clip) : keep_(clip == Clip::chunked) {}

  // Call before the second and every later chunk.
  void next_chunk();
  // The first chunk starts with pixel frame 0, which has its own latent frame.
  bool first_chunk() const { return first_chunk_; }

  // x [B, C, T, Y, X] after the `count` frames that precede it → [B, C, count + T, Y, X]; frames before the clip
  // are zero. Keeps the last `count` frames of the result for the next chunk.
  at::Tensor extend(const at::Tensor& x, int64_t count);
  // The same, but `write` fills in the frames of x through a view of the result, so x is not copied. If `kept`
  // [B, C, count, Y, X] is defined, it also receives the last of these frames for the next chunk: written while they
  // are in registers, they need not be read again. Without gradients only; the result is channels-last.
  using Write = std::function<void(const at::Tensor& frames, const at::Tensor& kept)>;
  at::Tensor extend(const at::Tensor& x, int64_t count, const Write& write);

 private:
  // Stores the last `count` frames of the result in the slot and advances to the next slot.
  void keep(const at::Tensor& extended, int64_t count);
  void fill_slot(const at::Tensor& kept);

  bool keep_;
  bool first_chunk_ = true;
  size_t cursor_ = 0;
  std::vector<at::Tensor> past_;
};

}  // namespace moga
