// The work list of a persistent grid: items (group, head, tile), computed on the device from the offsets.
//
// One side of the attention is divided into tiles ("own" rows: queries in the forward pass, keys in the backward pass);
// each tile iterates over all rows of the other side ("other" rows). list_work sorts the groups by descending length of
// the other side, so that long items start first, and numbers the items by group, then head. Adjacent items read the
// same other rows, which then come from L2. CTAs take items from a counter.
#pragma once

#include <cstdint>

#include "moga/kernels/device/warp.cuh"

namespace moga::kernels {

struct WorkList {
  const int32_t* own_offsets;    // [G + 1]
  const int32_t* other_offsets;  // [G + 1]
  int32_t* next;                 // [1] number of the next item to take
  int32_t* order;                // [G] groups, longest other side first
  int32_t* begin;                // [G + 1] first item of the p-th group of `order`
  int32_t groups, heads;
};

// A tile of own rows [row, row + rows) of one head, with other rows [other_row, other_row + other_rows).
struct WorkItem {
  int32_t row, rows;
  int32_t other_row, other_rows;
  int32_t group;
  int32_t head;  // kNoHead marks the end of the list
  int32_t tile;  // of own rows, within the group
};

// The same, read in loads of 16 bytes.
struct alignas(16) AlignedWorkItem : WorkItem {};

inline constexpr int32_t kNoHead = -1;

inline size_t work_list_size(int32_t groups) { return 2 * static_cast<size_t>(groups) + 2; }

// `scratch`: work_list_size(groups) elements.
inline WorkList work_list(const int32_t* own_offsets, const int32_t* other_offsets, int32_t groups, int32_t heads,
                          int32_t* scratch) {
  return {own_offsets, other_offsets, scratch, scratch + 1, scratch + 1 + groups, groups, heads};
}

// Fills next, order and begin.
void list_work(const WorkList& list, int tile_rows, cudaStream_t stream);

// Takes items for a CTA; used by one whole warp. Item numbers ascend, so each search continues where the last one
// ended.
class WorkTaker {
 public:
  __device__ WorkTaker(const WorkList& list, int tile_rows) : list_(list), tile_rows_(tile_rows) {}

  __device__ WorkItem take() {
    const int lane = threadIdx.x % kWarp;
    int item = lane == 0 ? atomicAdd(list_.next, 1) : 0;
    item = __shfl_sync(kAllLanes, item, 0);
    while (true) {
      const bool here = place_ + lane >= list_.groups || item < list_.begin[place_ + lane + 1];
      const unsigned candidates = __ballot_sync(kAllLanes, here);
      if (candidates) {
        place_ += __ffs(candidates) - 1;
        break;
      }
      place_ += kWarp;
    }
    if (place_ >= list_.groups) return {0, 0, 0, 0, 0, kNoHead, 0};
    const int group = list_.order[place_], index = item - list_.begin[place_];
    const int first = list_.own_offsets[group], rows = list_.own_offsets[group + 1] - first;
    const int tiles = (rows + tile_rows_ - 1) / tile_rows_;
    const int tile = index % tiles, begin = tile * tile_rows_;
    const int other = list_.other_offsets[group];
    return {.row = first + begin,
            .rows = min(tile_rows_, rows - begin),
            .other_row = other,
            .other_rows = list_.other_offsets[group + 1] - other,
            .group = group,
            .head = index / tiles,
            .tile = tile};
  }

 private:
  const WorkList& list_;
  int tile_rows_;
  int place_ = 0;  // in list_.order
};

}  // namespace moga::kernels
