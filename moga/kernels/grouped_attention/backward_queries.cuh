// The passes over queries before and after the backward kernel.
//
//   prepare_queries  computes delta = Σ_d dO ∘ O, converts lse to base 2, zeroes the dQ sums
//   finish_queries   dq = scale · sums, in bf16
#pragma once

#include <cuda_bf16.h>

#include "moga/kernels/device/warp.cuh"
#include "moga/kernels/grouped_attention.h"
#include "moga/kernels/grouped_attention/backward.cuh"

namespace moga::kernels {

template <class C>
struct QueryPasses {
  typename C::Padded padded;
  const int32_t* q_offsets;
  int32_t groups;
  HeadRows output, grad;  // [nq, H, D]
  const float* lse;       // [nq, H]
  float* row_sums;        // [nq, H], receives delta, or null
  Bfloat16* dq;           // [nq, H, D]
  float scale;
};

inline constexpr int kPrepareThreads = 128;
inline constexpr int kFinishThreads = 256;

// Sum of the products of eight bf16 pairs.
__device__ __forceinline__ float dot8(const uint4& a, const uint4& b) {
  const auto* x = reinterpret_cast<const __nv_bfloat162*>(&a);
  const auto* y = reinterpret_cast<const __nv_bfloat162*>(&b);
  float sum = 0;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 u = __bfloat1622float2(x[i]), v = __bfloat1622float2(y[i]);
    sum += u.x * v.x + u.y * v.y;
  }
  return sum;
}

// Grid (tiles, H).
template <class C>
__global__ void __launch_bounds__(kPrepareThreads) prepare_queries(const __grid_constant__ QueryPasses<C> pass) {
  constexpr int kLanes = C::kHeadSize / 8;  // lanes per row, 16 bytes each
  const typename C::Padded& padded = pass.padded;
  const int tile = blockIdx.x, head = blockIdx.y;
  const TileRows valid = rows_of_tile(padded, pass.q_offsets, pass.groups, tile);
  if (valid.rows == 0) return;
  auto* sums = reinterpret_cast<float4*>(padded.dq(head, tile));
  for (int i = threadIdx.x; i < C::kTileQ * C::kHeadSize / 4; i += kPrepareThreads) sums[i] = make_float4(0, 0, 0, 0);
  if (padded.turns && threadIdx.x < 2) *padded.turn(head, tile, threadIdx.x) = 0;
  float* statistics = padded.statistics(head, tile);
  const int lane = threadIdx.x % kLanes;
  for (int row = threadIdx.x / kLanes; row < C::kTileQ; row += kPrepareThreads / kLanes) {
    const bool inside = row < valid.rows;
    const int64_t at = valid.row + row;
    float delta = 0;
    if (inside) {
      const auto load = [&](const HeadRows& x) {
        const Bfloat16* values = x.data + at * x.stride + head * C::kHeadSize;
        return reinterpret_cast<const uint4*>(values)[lane];
      };
      delta = dot8(load(pass.output), load(pass.grad));
    }
#pragma unroll
    for (int step = kLanes / 2; step > 0; step /= 2) delta += __shfl_xor_sync(kAllLanes, delta, step);
    if (lane != 0) continue;
    const int64_t place = at * padded.heads + head;
    statistics[row] = inside ? pass.lse[place] * kLog2E : INFINITY;
    statistics[C::kTileQ + row] = delta;
    if (inside && pass.row_sums) pass.row_sums[place] = delta;
  }
}

// Grid (tiles, H).
template <class C>
__global__ void __launch_bounds__(kFinishThreads) finish_queries(const __grid_constant__ QueryPasses<C> pass) {
  constexpr int kPitch = C::kHeadSize + 8;  // elements; a multiple of 16 bytes that spreads rows over the banks
  __shared__ __align__(16) Bfloat16 rows[C::kTileQ][kPitch];
  const typename C::Padded& padded = pass.padded;
  const int tile = blockIdx.x, head = blockIdx.y;
  const TileRows valid = rows_of_tile(padded, pass.q_offsets, pass.groups, tile);
  if (valid.rows == 0) return;
  const int block = threadIdx.x / kWarpgroup, thread = threadIdx.x % kWarpgroup;
  const auto* sums = reinterpret_cast<const float4*>(padded.dq(head, tile)) + block * (C::kDqBytes / 16) + thread;
  const int d = accumulator_row(0) + (C::kHeadSize == 128 ? 64 * block : 0);
  const int first = accumulator_column() + (C::kHeadSize == 128 ? 0 : C::kDqColumns * block);
#pragma unroll
  for (int i = 0; i < C::kDqColumns / 8; ++i) {
    const float4 x = sums[i * kWarpgroup];
    const int query = first + 8 * i;
    const auto put = [&](int q, int column, float value) {
      rows[q][column] = {__bfloat16_as_ushort(__float2bfloat16_rn(value * pass.scale))};
    };
    put(query, d, x.x);
    put(query + 1, d, x.y);
    put(query, d + 8, x.z);
    put(query + 1, d + 8, x.w);
  }
  __syncthreads();
  constexpr int kLanes = C::kHeadSize / 8;
  const int lane = threadIdx.x % kLanes;
  for (int row = threadIdx.x / kLanes; row < valid.rows; row += kFinishThreads / kLanes) {
    const int64_t place = static_cast<int64_t>(valid.row + row) * padded.heads + head;
    reinterpret_cast<uint4*>(pass.dq + place * C::kHeadSize)[lane] =
        *reinterpret_cast<const uint4*>(&rows[row][lane * 8]);
  }
}

}  // namespace moga::kernels
