// Convolution weights in the layout of the kernel `sm90` (kernels/causal_convolution.h): converted at the first call
// and cached until the weight changes, so a clip of hundreds of chunks converts them once. Like the layer that owns it,
// it can be used by one thread and one stream at a time.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace moga {

inline constexpr int64_t kVectorChannels = 8;  // 16 bytes of bfloat16, the unit in which matrix kernels read
// The number to add to `count` to reach a multiple.
int64_t fill_up(int64_t count, int64_t multiple);

// weight [C', C, frames, side, side] in tiles of N output and 32 input channels, zero-padded
// → [C'/N, frames, C/32, side, side, 4, N, 8], contiguous:
//   W[n, c, …] at [n / N, …, c / 32, …, c % 32 / 8, n % N, c % 8]
at::Tensor tiled_weight(const at::Tensor& weight, int64_t tile_channels);

class ConvolutionWeight {
 public:
  struct Tiled {
    at::Tensor weight;  // as above, bfloat16
    at::Tensor bias;    // [C'/N · N] float32, zeros beyond C'
  };
  const Tiled& of(const at::Tensor& weight, const at::Tensor& bias, int64_t tile_channels);

 private:
  // The tensor from which `tiled_` was made. In-place changes increment a tensor's version. A weak reference to its
  // storage ensures that another tensor at the same address is not mistaken for it.
  struct Source {
    c10::weak_intrusive_ptr<c10::StorageImpl> storage;
    const void* data;
    int64_t version, tile_channels;
    at::ScalarType dtype;
    bool operator==(const Source&) const = default;
  };
  static Source source(const at::Tensor& parameter, int64_t tile_channels);

  std::optional<Source> weight_source_, bias_source_;
  Tiled tiled_;
};

}  // namespace moga
