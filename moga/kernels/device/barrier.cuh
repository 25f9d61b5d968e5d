// Barriers in shared memory (mbarrier) and named barriers, with which producer and consumer warps of a CTA exchange
// tiles.
//
//   full  one arrival, which also announces how many bytes the copy engine will deliver; the phase ends after both
//   empty one arrival per consumer warp
//
// A wait names the parity of the phase whose end it waits for. Waiting for parity 1 on a new barrier returns at once,
// so a producer starts with the opposite parity of a consumer. With MOGA_SPIN_LIMIT (tests) a wait gives up after that
// many tries and increments barrier_timeouts, so that a wrong phase fails instead of hanging.
#pragma once

#include <cstdint>

namespace moga::kernels {

using Barrier = uint64_t;

#ifdef MOGA_SPIN_LIMIT
__device__ unsigned barrier_timeouts[32];
#endif

__device__ __forceinline__ uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ __forceinline__ void barrier_init(Barrier* barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}

// Makes initialised barriers visible to the copy engine.
__device__ __forceinline__ void barrier_init_fence() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ __forceinline__ void barrier_arrive(Barrier* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

// One arrival for the whole warp. All lanes call it; lane 0 arrives, without a branch.
__device__ __forceinline__ void barrier_arrive_of_warp(Barrier* barrier, uint32_t lane) {
  asm volatile(
      "{\n.reg .pred p;\n"
      "setp.eq.u32 p, %1, 0;\n"
      "@p mbarrier.arrive.shared::cta.b64 _, [%0];\n}" ::"r"(shared_address(barrier)),
      "r"(lane)
      : "memory");
}

__device__ __forceinline__ void barrier_arrive_expect(Barrier* barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
               : "memory");
}

__device__ __forceinline__ bool barrier_try_wait(Barrier* barrier, uint32_t parity) {
  uint32_t done;
  asm volatile(
      "{\n.reg .pred p;\n"
      "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
      "selp.u32 %0, 1, 0, p;\n}"
      : "=r"(done)
      : "r"(shared_address(barrier)), "r"(parity)
      : "memory");
  return done != 0;
}

// `tag` identifies the barrier when a test times out.
__device__ __forceinline__ void barrier_wait(Barrier* barrier, uint32_t parity, [[maybe_unused]] int tag = 0) {
#ifdef MOGA_SPIN_LIMIT
  for (unsigned tries = 0; !barrier_try_wait(barrier, parity); ++tries)
    if (tries > MOGA_SPIN_LIMIT || (tries > 16 && *static_cast<volatile unsigned*>(barrier_timeouts) != 0)) {
      atomicAdd(&barrier_timeouts[tag], 1u);
      atomicAdd(&barrier_timeouts[0], 1u);
      return;
    }
#else
  while (!barrier_try_wait(barrier, parity)) {
  }
#endif
}

// Named barriers 1 … 15; barrier 0 is __syncthreads.
__device__ __forceinline__ void named_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

__device__ __forceinline__ void named_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// Position in a ring of kStages buffers: the buffer, and the parity that distinguishes one pass of the ring from the
// next.
template <int kStages>
struct Ring {
  int stage = 0;
  uint32_t parity = 0;

  __device__ __forceinline__ void advance() {
    if (++stage == kStages) {
      stage = 0;
      parity ^= 1;
    }
  }
};

}  // namespace moga::kernels
