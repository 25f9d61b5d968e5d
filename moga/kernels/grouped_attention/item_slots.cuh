// Passes work items to the warps of a CTA through two slots in shared memory: the current item and the next.
//
// One warp takes items from the list and fills the slots. Every thread that uses items reads each one and then arrives
// at the barrier that frees its slot. One arrival per warp would be enough, but compute-sanitizer's racecheck cannot
// follow it.
#pragma once

#include "moga/kernels/device/barrier.cuh"
#include "moga/kernels/grouped_attention/work_list.cuh"

namespace moga::kernels {

inline constexpr int kItemSlots = 2;

// Item is WorkItem or AlignedWorkItem.
template <class Item>
struct ItemSlots {
  Item items[kItemSlots];
  Barrier full[kItemSlots], empty[kItemSlots];

  // readers: number of threads
  __device__ void init(uint32_t readers) {
    for (int s = 0; s < kItemSlots; ++s) {
      barrier_init(&full[s], 1);
      barrier_init(&empty[s], readers);
    }
  }
};

// Called by one whole warp: takes items until the list ends, and passes on the end as well.
template <class Item>
__device__ __forceinline__ void fill_slots(ItemSlots<Item>& slots, const WorkList& list, int tile_rows) {
  WorkTaker taker(list, tile_rows);
  Ring<kItemSlots> slot;
  while (true) {
    barrier_wait(&slots.empty[slot.stage], slot.parity ^ 1, 1);
    const Item item{taker.take()};
    if (threadIdx.x % kWarp == 0) {
      slots.items[slot.stage] = item;
      barrier_arrive(&slots.full[slot.stage]);
    }
    if (item.head == kNoHead) return;
    slot.advance();
  }
}

class ItemReader {
 public:
  // For a reader that is a single thread.
  template <class Item>
  __device__ __forceinline__ Item next(ItemSlots<Item>& slots) {
    barrier_wait(&slots.full[slot_.stage], slot_.parity, 2);
    const Item item = slots.items[slot_.stage];
    barrier_arrive(&slots.empty[slot_.stage]);
    slot_.advance();
    return item;
  }

  // For a reader that is a warp. Lane 0 is treated separately only for the compiler's sake: with one arrival of all
  // lanes it reorders the products of the backward pass, and without __syncwarp it also spills registers.
  template <class Item>
  __device__ __forceinline__ Item next_of_warp(ItemSlots<Item>& slots) {
    barrier_wait(&slots.full[slot_.stage], slot_.parity, 2);
    const Item item = slots.items[slot_.stage];
    __syncwarp();
    if (threadIdx.x % kWarp == 0) barrier_arrive(&slots.empty[slot_.stage]);
    if (threadIdx.x % kWarp != 0) barrier_arrive(&slots.empty[slot_.stage]);
    slot_.advance();
    return item;
  }

 private:
  Ring<kItemSlots> slot_;
};

}  // namespace moga::kernels
