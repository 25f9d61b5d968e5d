// The bulk tensor copy engine: copies a box of a tensor, described by a CUtensorMap, into shared memory.
//
// Elements outside the tensor arrive as zeros and count as delivered bytes.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "moga/kernels/device/barrier.cuh"

namespace moga::kernels {

__device__ __forceinline__ void prefetch_map(const CUtensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

// Copies the box at coordinates (c0, …, c3), innermost first, to shared memory; completes on `full`. Elements outside
// the tensor, including at negative coordinates, are zeros.
__device__ __forceinline__ void load_box(void* to, const CUtensorMap& map, Barrier* full, int c0, int c1, int c2,
                                         int c3) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], "
      "[%2];" ::"r"(shared_address(to)),
      "l"(&map), "r"(shared_address(full)), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
      : "memory");
}

// The same for a tensor of two dimensions.
__device__ __forceinline__ void load_box(void* to, const CUtensorMap& map, Barrier* full, int column, int row) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], "
      "[%2];" ::"r"(shared_address(to)),
      "l"(&map), "r"(shared_address(full)), "r"(column), "r"(row)
      : "memory");
}

// Copies `bytes` contiguous bytes, 16-byte aligned at both ends, to shared memory; completes on `full`.
__device__ __forceinline__ void load_bytes(void* to, const void* from, uint32_t bytes, Barrier* full) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                   shared_address(to)),
               "l"(from), "r"(bytes), "r"(shared_address(full))
               : "memory");
}

// Adds `bytes` of floats in shared memory to floats in global memory, and returns once they have been read. The
// additions of several CTAs happen in any order.
__device__ __forceinline__ void add_floats(float* to, const void* from, uint32_t bytes) {
  asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%0], [%1], %2;" ::"l"(to),
               "r"(shared_address(from)), "r"(bytes)
               : "memory");
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
  asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
}

// Waits until this thread's additions are complete.
__device__ __forceinline__ void finish_adds() { asm volatile("cp.async.bulk.wait_group 0;" ::: "memory"); }

// Lets several CTAs add to the same sums in a fixed order: waits until `turn` is `mine`, and passes it on when this
// thread's additions are complete.
__device__ __forceinline__ void wait_turn(const int32_t* turn, int32_t mine) {
  int32_t now;
  do asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(now) : "l"(turn) : "memory");
  while (now != mine);
  asm volatile("fence.proxy.async;" ::: "memory");
}

__device__ __forceinline__ void pass_turn(int32_t* turn, int32_t next) {
  finish_adds();
  asm volatile("fence.proxy.async;" ::: "memory");
  asm volatile("st.release.gpu.global.s32 [%0], %1;" ::"l"(turn), "r"(next) : "memory");
}

// Makes this thread's ordinary writes to shared memory visible to the copy engine and the matrix units.
__device__ __forceinline__ void publish_shared() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

}  // namespace moga::kernels
