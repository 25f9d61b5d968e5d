// Counting sort by warps: each warp owns a slice of consecutive tokens and one column of the count table [G, slices].
// Three launches: count each slice, scan the table in (group, slice) order, write each slice's rows from its own
// cursors. Positions within 32 tokens come from __match_any_sync, so the sort is stable and no two warps write to the
// same place.
#include "moga/kernels/group_sort.h"

#include "moga/kernels/device/launch.h"

namespace moga::kernels {
namespace {

constexpr int kWarp = 32;
constexpr int kWarpsPerCta = 8;
constexpr int kSlice = 512;  // tokens per warp
constexpr int kScanThreads = 1024;

__host__ __device__ int slices_of(int64_t tokens) { return static_cast<int>((tokens + kSlice - 1) / kSlice); }

// Calls visit(active lanes of the same group, token, group) for each token of this warp's slice, 32 at a time.
template <class Visit>
__device__ void for_slice(const GroupSort& work, int slice, Visit visit) {
  const int lane = threadIdx.x % kWarp;
  const int64_t begin = static_cast<int64_t>(slice) * kSlice;
  for (int64_t base = begin; base < min(begin + kSlice, work.tokens); base += kWarp) {
    const int64_t token = base + lane;
    const bool valid = token < work.tokens;
    const unsigned present = __ballot_sync(0xffffffffu, valid);
    if (valid) {
      const int group = static_cast<int>(work.group[token]);
      visit(__match_any_sync(present, group), token, group);
    }
    __syncwarp();
  }
}

__global__ void __launch_bounds__(kWarpsPerCta* kWarp) count_slices(GroupSort work, int slices) {
  extern __shared__ int32_t shared[];
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int slice = blockIdx.x * kWarpsPerCta + warp;
  if (slice >= slices) return;
  int32_t* count = shared + warp * work.groups;
  for (int g = lane; g < work.groups; g += kWarp) count[g] = 0;
  __syncwarp();
  for_slice(work, slice, [&](unsigned same, int64_t, int group) {
    if (lane == __ffs(same) - 1) count[group] += __popc(same);
  });
  for (int g = lane; g < work.groups; g += kWarp) work.counts[static_cast<int64_t>(g) * slices + slice] = count[g];
}

// Exclusive scan of the whole table by one CTA; the row starts are the group offsets.
__global__ void __launch_bounds__(kScanThreads) scan_counts(GroupSort work, int slices) {
  __shared__ int32_t warp_sums[kScanThreads / kWarp];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t entries = static_cast<int64_t>(work.groups) * slices;
  int32_t carry = 0;
  for (int64_t base = 0; base < entries; base += kScanThreads) {
    const int64_t entry = base + threadIdx.x;
    const int32_t value = entry < entries ? work.counts[entry] : 0;
    int32_t sum = value;
    for (int step = 1; step < kWarp; step *= 2) {
      const int32_t below = __shfl_up_sync(0xffffffffu, sum, step);
      if (lane >= step) sum += below;
    }
    if (lane == kWarp - 1) warp_sums[warp] = sum;
    __syncthreads();
    if (warp == 0) {
      int32_t total = warp_sums[lane];
      for (int step = 1; step < kWarp; step *= 2) {
        const int32_t below = __shfl_up_sync(0xffffffffu, total, step);
        if (lane >= step) total += below;
      }
      warp_sums[lane] = total;
    }
    __syncthreads();
    const int32_t before = carry + (warp > 0 ? warp_sums[warp - 1] : 0) + sum - value;
    if (entry < entries) {
      work.counts[entry] = before;
      if (entry % slices == 0) work.offsets[entry / slices] = before;
    }
    carry += warp_sums[kScanThreads / kWarp - 1];
    __syncthreads();
  }
  if (entries == 0)
    for (int g = threadIdx.x; g < work.groups; g += kScanThreads) work.offsets[g] = 0;
  if (threadIdx.x == 0) work.offsets[work.groups] = static_cast<int32_t>(work.tokens);
}

__global__ void __launch_bounds__(kWarpsPerCta* kWarp) write_rows(GroupSort work, int slices) {
  extern __shared__ int32_t shared[];
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int slice = blockIdx.x * kWarpsPerCta + warp;
  if (slice >= slices) return;
  int32_t* cursor = shared + warp * work.groups;
  for (int g = lane; g < work.groups; g += kWarp) cursor[g] = work.counts[static_cast<int64_t>(g) * slices + slice];
  __syncwarp();
  for_slice(work, slice, [&](unsigned same, int64_t token, int group) {
    const int32_t first = cursor[group], place = first + __popc(same & ((1u << lane) - 1));
    work.order[place] = token;
    work.place[token] = place;
    __syncwarp(same);
    if (lane == __ffs(same) - 1) cursor[group] = first + __popc(same);
  });
}

}  // namespace

size_t group_sort_scratch(int64_t tokens, int32_t groups) {
  return static_cast<size_t>(slices_of(tokens)) * static_cast<size_t>(groups);
}

void group_sort(const GroupSort& work) {
  const int slices = slices_of(work.tokens);
  const int ctas = (slices + kWarpsPerCta - 1) / kWarpsPerCta;
  const size_t shared_bytes = sizeof(int32_t) * kWarpsPerCta * work.groups;
  if (ctas > 0) count_slices<<<ctas, kWarpsPerCta * kWarp, shared_bytes, work.stream>>>(work, slices);
  scan_counts<<<1, kScanThreads, 0, work.stream>>>(work, slices);
  if (ctas > 0) write_rows<<<ctas, kWarpsPerCta * kWarp, shared_bytes, work.stream>>>(work, slices);
  check_launch("group_sort");
}

}  // namespace moga::kernels
