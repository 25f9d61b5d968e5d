// Operations on product accumulators: masking, packing to bf16, writing rows to global memory. device/wgmma.cuh
// describes their layout.
#pragma once

#include "moga/kernels/bfloat16.h"
#include "moga/kernels/device/warp.cuh"

namespace moga::kernels {

// The row (of 64) that contains elements 2r and 2r + 1 of a thread's accumulators; r = 0, 1.
__device__ __forceinline__ int accumulator_row(int r) {
  const int thread = threadIdx.x % kWarpgroup;
  return thread / kWarp * 16 + thread % kWarp / 4 + 8 * r;
}

// The first of the two adjacent columns that a thread has in each group of eight.
__device__ __forceinline__ int accumulator_column() { return threadIdx.x % 4 * 2; }

// Sets columns from `valid` on to `value`.
template <int kCount>
__device__ __forceinline__ void mask_columns(float (&values)[kCount], int valid, float value) {
#pragma unroll
  for (int i = 0; i < kCount; ++i)
    if (8 * (i / 4) + i % 2 + accumulator_column() >= valid) values[i] = value;
}

// Sets rows from `valid` on to `value`.
template <int kCount>
__device__ __forceinline__ void mask_rows(float (&values)[kCount], int valid, float value) {
#pragma unroll
  for (int i = 0; i < kCount; ++i)
    if (accumulator_row(i / 2 % 2) >= valid) values[i] = value;
}

// Packs accumulators into the bf16 operand of the next product.
template <int kCount>
__device__ __forceinline__ void pack(const float (&values)[kCount], uint32_t (&packed)[kCount / 2]) {
#pragma unroll
  for (int i = 0; i < kCount / 2; ++i) packed[i] = bf16_pair(values[2 * i], values[2 * i + 1]);
}

// Writes factor · (the thread's part of row r) as bf16 [kCount · 2] to `to`, 16 bytes per lane. All lanes of the warp
// call it.
template <int kCount>
__device__ __forceinline__ void store_row(const float (&values)[kCount], int r, float factor, bool valid,
                                          Bfloat16* to) {
#pragma unroll
  for (int j = 0; j < kCount / 4; j += 4) {
    const auto word = [&](int i) {
      return bf16_pair(values[4 * i + 2 * r] * factor, values[4 * i + 2 * r + 1] * factor);
    };
    const uint4 chunk = quad_transpose(word(j), word(j + 1), word(j + 2), word(j + 3));
    if (valid) *reinterpret_cast<uint4*>(to + (j + threadIdx.x % 4) * 8) = chunk;
  }
}

}  // namespace moga::kernels
