// Eight bfloat16 values in 16 bytes, the widest access of a thread: to float32 and back.
#pragma once

#include <cuda_bf16.h>

namespace moga::kernels {

inline constexpr int kElements = 8;

__device__ __forceinline__ void unpack(const uint4& packed, float (&x)[kElements]) {
  const auto* pairs = reinterpret_cast<const __nv_bfloat162*>(&packed);
#pragma unroll
  for (int i = 0; i < kElements / 2; ++i) {
    const float2 pair = __bfloat1622float2(pairs[i]);
    x[2 * i] = pair.x;
    x[2 * i + 1] = pair.y;
  }
}

__device__ __forceinline__ uint4 pack(const float (&x)[kElements]) {
  uint4 packed;
  auto* pairs = reinterpret_cast<__nv_bfloat162*>(&packed);
#pragma unroll
  for (int i = 0; i < kElements / 2; ++i) pairs[i] = __floats2bfloat162_rn(x[2 * i], x[2 * i + 1]);
  return packed;
}

}  // namespace moga::kernels
