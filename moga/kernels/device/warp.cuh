// Helpers for warps and warpgroups: registers by role, exp2, bf16 pairs, reductions and transposes within a quad.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

namespace moga::kernels {

inline constexpr int kWarp = 32;
inline constexpr int kWarpgroup = 128;
inline constexpr unsigned kAllLanes = 0xffffffffu;

// Tells the compiler that a value is the same in all lanes. Values derived from it are then kept in uniform registers,
// where operands of products have to be.
template <class T>
__device__ __forceinline__ T uniform(T x) {
  return __shfl_sync(kAllLanes, x, 0);
}

template <int kRegisters>
__device__ __forceinline__ void shrink_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

template <int kRegisters>
__device__ __forceinline__ void grow_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// 2^x; subnormal results become zero, 2^-inf is 0.
__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Converts two floats to a bf16 pair, `low` at the lower address.
__device__ __forceinline__ uint32_t bf16_pair(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

// Stores four 8 × 8 tiles of bf16 transposed. A lane passes the address of the 16-byte row `lane % 8` of tile lane / 8.
// Before transposition it holds the pair (row lane / 4, columns 2 · (lane % 4) + {0, 1}) of each tile.
__device__ __forceinline__ void store_transposed(uint32_t row_address, uint32_t a0, uint32_t a1, uint32_t a2,
                                                 uint32_t a3) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row_address), "r"(a0),
               "r"(a1), "r"(a2), "r"(a3)
               : "memory");
}

// Reductions over the four lanes that share an accumulator row.
__device__ __forceinline__ float quad_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, 1));
  return fmaxf(x, __shfl_xor_sync(kAllLanes, x, 2));
}

__device__ __forceinline__ float quad_sum(float x) {
  x += __shfl_xor_sync(kAllLanes, x, 1);
  return x + __shfl_xor_sync(kAllLanes, x, 2);
}

// Before: lane t of a quad holds word t of four 16-byte chunks. After: it holds the four words of chunk t.
__device__ __forceinline__ uint4 quad_transpose(uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3) {
  const bool odd = threadIdx.x & 1, upper = threadIdx.x & 2;
  const uint32_t x0 = __shfl_xor_sync(kAllLanes, odd ? a0 : a1, 1), x2 = __shfl_xor_sync(kAllLanes, odd ? a2 : a3, 1);
  const uint32_t b0 = odd ? x0 : a0, b1 = odd ? a1 : x0, b2 = odd ? x2 : a2, b3 = odd ? a3 : x2;
  const uint32_t y0 = __shfl_xor_sync(kAllLanes, upper ? b0 : b2, 2),
                 y1 = __shfl_xor_sync(kAllLanes, upper ? b1 : b3, 2);
  return {upper ? y0 : b0, upper ? y1 : b1, upper ? b2 : y0, upper ? b3 : y1};
}

}  // namespace moga::kernels
