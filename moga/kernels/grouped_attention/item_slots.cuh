// How work items reach the warps of a CTA: two slots in shared memory, the item at work and the next.
//
// One warp takes items from the list and fills the slots; every thread that works on items reads each one and frees its
// slot for itself: one arrival a warp would do, but compute-sanitizer's racecheck does not see whom it speaks for.
#pragma once

#include "moga/kernels/device/barrier.cuh"
#include "moga/kernels/grouped_attention/work_list.cuh"

namespace moga::kernels {

inline constexpr int kItemSlots = 2;

// Item: WorkItem or AlignedWorkItem.
template <class Item>
struct ItemSlots {
  Item items[kItemSlots];
  Barrier full[kItemSlots], empty[kItemSlots];

  // readers: threads
  __device__ void init(uint32_t readers) {
    for (int s = 0; s < kItemSlots; ++s) {
      barrier_init(&full[s], 1);
      barrier_init(&empty[s], readers);
    }
  }
};

// One whole warp: takes items until the list ends, and hands the end on too.
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
  // For a reader that is one thread.
  template <class Item>
  __device__ __forceinline__ Item next(ItemSlots<Item>& slots) {
    barrier_wait(&slots.full[slot_.stage], slot_.parity, 2);
    const Item item = slots.items[slot_.stage];
    barrier_arrive(&slots.empty[slot_.stage]);
    slot_.advance();
    return item;
  }

  // For a reader that is a warp. Lane 0 is apart for the compiler alone: with one arrival of all lanes it puts the
  // backward's products into another order, without __syncwarp it spills registers as well.
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
