// What happens to product accumulators outside of products: masking, packing to bf16, rows to global memory. Layout of
// accumulators: device/wgmma.cuh.
#pragma once

#include "moga/kernels/bfloat16.h"
#include "moga/kernels/device/warp.cuh"

namespace moga::kernels {

// Row of the 64 that element 2r, 2r + 1 of a thread's accumulators are in; r = 0, 1.
__device__ __forceinline__ int accumulator_row(int r) {
  const int thread = threadIdx.x % kWarpgroup;
  return thread / kWarp * 16 + thread % kWarp / 4 + 8 * r;
}

// First of the two neighbouring columns a thread has in each eight.
__device__ __forceinline__ int accumulator_column() { return threadIdx.x % 4 * 2; }

// Columns from `valid` on become `value`.
template <int kCount>
__device__ __forceinline__ void mask_columns(float (&values)[kCount], int valid, float value) {
#pragma unroll
  for (int i = 0; i < kCount; ++i)
    if (8 * (i / 4) + i % 2 + accumulator_column() >= valid) values[i] = value;
}

// Rows from `valid` on become `value`.
template <int kCount>
__device__ __forceinline__ void mask_rows(float (&values)[kCount], int valid, float value) {
#pragma unroll
  for (int i = 0; i < kCount; ++i)
    if (accumulator_row(i / 2 % 2) >= valid) values[i] = value;
}

// As the bf16 operand of the next product.
template <int kCount>
__device__ __forceinline__ void pack(const float (&values)[kCount], uint32_t (&packed)[kCount / 2]) {
#pragma unroll
  for (int i = 0; i < kCount / 2; ++i) packed[i] = bf16_pair(values[2 * i], values[2 * i + 1]);
}

// factor · (the thread's share of row r) → bf16 [kCount · 2] at `to`, 16 bytes a lane; all lanes of the warp call it.
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
