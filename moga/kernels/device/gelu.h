// GELU's tanh form and its derivative, x · s(x) with s(x) = (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, in float32:
//
//   s = 1 / (1 + e), e = exp(−2 √(2/π) (x + 0.044715 x³))    gelu' = s · (1 + x (1 − s) · d)
//   1 − s = e s                                               d = 2 √(2/π) (1 + 3 · 0.044715 x²)
//
// Nothing cancels where s is near 0, as it does in 1 + tanh. Compiled for the device, and for the host so that tests
// can check it.
#pragma once

#include <cuda_runtime.h>

#include <cmath>

#ifdef __CUDACC__
#include "moga/kernels/device/warp.cuh"
#endif

namespace moga::kernels {

struct Gelu {
  float value, derivative;
};

__host__ __device__ inline Gelu gelu(float input) {
  constexpr float kSlope = 1.5957691216057308f;  // 2 √(2/π)
  constexpr float kCubic = 0.044715f * kSlope;
  constexpr float kLog2E = 1.4426950408889634f;
  constexpr float kFar = 9;  // beyond it GELU is 0 or x; within it e < 2^96. NaN propagates.
  const float x = input < -kFar ? -kFar : input > kFar ? kFar : input;
  const float square = x * x, exponent = x * fmaf(square, -kCubic * kLog2E, -kSlope * kLog2E);
#ifdef __CUDA_ARCH__
  const float e = exp2_fast(exponent), s = __fdividef(1.0f, 1.0f + e);
#else
  const float e = std::exp2(exponent), s = 1.0f / (1.0f + e);
#endif
  return {(input > kFar ? input : x) * s, s * fmaf(x * (e * s), fmaf(square, 3 * kCubic, kSlope), 1.0f)};
}

}  // namespace moga::kernels
