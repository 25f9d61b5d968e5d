// Clusters: CTAs that run side by side, reach into each other's shared memory, and receive the same tile from one copy.
//
// A kernel without a cluster is a cluster of one, so code written for ranks 0 … kCluster − 1 serves both.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "moga/kernels/device/barrier.cuh"

namespace moga::kernels {

__device__ __forceinline__ uint32_t cluster_rank() {
  uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

__device__ __forceinline__ uint32_t cluster_index() {
  uint32_t index;
  asm volatile("mov.u32 %0, %%clusterid.x;" : "=r"(index));
  return index;
}

// All threads of all CTAs of the cluster that still run.
__device__ __forceinline__ void cluster_sync() {
  asm volatile("barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;" ::: "memory");
}

// The address, in the cluster's window, of the same variable in the CTA of that rank.
__device__ __forceinline__ uint32_t cluster_address(const void* pointer, uint32_t rank) {
  uint32_t address;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(address) : "r"(shared_address(pointer)), "r"(rank));
  return address;
}

__device__ __forceinline__ void barrier_arrive_at(Barrier* barrier, uint32_t rank) {
  asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(cluster_address(barrier, rank))
               : "memory");
}

__device__ __forceinline__ void barrier_arrive_expect_at(Barrier* barrier, uint32_t bytes, uint32_t rank) {
  asm volatile("mbarrier.arrive.expect_tx.release.cluster.shared::cluster.b64 _, [%0], %1;" ::"r"(
                   cluster_address(barrier, rank)),
               "r"(bytes)
               : "memory");
}

// 16 bytes to the same variable in the CTA of that rank; they count on its `full`.
__device__ __forceinline__ void send_16_bytes(void* to, int4 value, Barrier* full, uint32_t rank) {
  asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%0], {%1, %2, %3, %4}, [%5];" ::"r"(
                   cluster_address(to, rank)),
               "r"(value.x), "r"(value.y), "r"(value.z), "r"(value.w), "r"(cluster_address(full, rank))
               : "memory");
}

// As load_box, into the same place of every CTA whose rank's bit is set; counts on each one's `full`.
__device__ __forceinline__ void load_box_to(uint16_t ranks, void* to, const CUtensorMap& map, Barrier* full, int column,
                                            int row, int slab, int head) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, "
      "{%3, %4, %5, %6}], [%2], %7;" ::"r"(shared_address(to)),
      "l"(&map), "r"(shared_address(full)), "r"(column), "r"(row), "r"(slab), "r"(head), "h"(ranks)
      : "memory");
}

}  // namespace moga::kernels
