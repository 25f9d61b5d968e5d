// How tensors are laid one after another in a buffer of bytes (weight_stream.h, sharded_blocks.h).
#pragma once

#include <cstdint>

namespace moga {

inline constexpr int64_t kBufferAlignment = 256;  // bytes, as CUDA's own allocations

inline int64_t aligned_bytes(int64_t bytes) {
  return (bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
}

}  // namespace moga
