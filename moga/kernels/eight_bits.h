// x in 8 bits with one scale: y = float8_e4m3fn(f(x) / scale), scale = max |f(x)| / 448, in float32, rounded to nearest
// even; f is the identity or GELU's tanh form. If x contains NaN, so does the scale. No torch.
#pragma once

#include <cstdint>

#include "moga/kernels/bfloat16.h"

struct CUstream_st;

namespace moga::kernels {

struct EightBits {
  const Bfloat16* x = nullptr;  // [count]
  uint8_t* y = nullptr;         // [count]
  float* scale = nullptr;       // [1]
  float* largest = nullptr;     // scratch [1]
  int64_t count = 0;            // a multiple of kEightBitStep
  bool gelu = false;
  CUstream_st* stream = nullptr;
};
inline constexpr int64_t kEightBitStep = 16;
void eight_bits(const EightBits& work);

}  // namespace moga::kernels
