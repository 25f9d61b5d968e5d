// Builds the work list with one CTA: a counting sort of the groups by length class (eight classes per power of two),
// then a scan of their item counts.
#include "moga/kernels/grouped_attention/work_list.cuh"

#include "moga/kernels/device/launch.h"

namespace moga::kernels {
namespace {

constexpr int kThreads = 1024;
constexpr int kClasses = 256;

// Class of a length, from its exponent and three bits of its mantissa; 0 is the longest.
__device__ int length_class(int length) {
  constexpr int kExponentOfOne = 127 << 3;
  const int octave = length > 0 ? (__float_as_int(static_cast<float>(length)) >> 20) - kExponentOfOne + 1 : 0;
  return kClasses - 1 - min(octave, kClasses - 1);
}

// Inclusive sum over the CTA's threads.
__device__ int scan_threads(int value, int* warp_sums) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  for (int step = 1; step < kWarp; step *= 2) {
    const int below = __shfl_up_sync(kAllLanes, value, step);
    if (lane >= step) value += below;
  }
  __syncthreads();
  if (lane == kWarp - 1) warp_sums[warp] = value;
  __syncthreads();
  for (int w = 0; w < warp; ++w) value += warp_sums[w];
  return value;
}

__global__ void __launch_bounds__(kThreads) list_work_kernel(WorkList list, int tile_rows) {
  __shared__ int places[kClasses], warp_sums[kThreads / kWarp];
  const int thread = threadIdx.x;
  if (thread < kClasses) places[thread] = 0;
  if (thread == 0) *list.next = 0;
  __syncthreads();
  const auto class_of = [&](int g) { return length_class(list.other_offsets[g + 1] - list.other_offsets[g]); };
  for (int g = thread; g < list.groups; g += kThreads) atomicAdd(&places[class_of(g)], 1);
  __syncthreads();
  const int count = thread < kClasses ? places[thread] : 0;
  const int before = scan_threads(count, warp_sums) - count;
  if (thread < kClasses) places[thread] = before;
  __syncthreads();
  for (int g = thread; g < list.groups; g += kThreads) list.order[atomicAdd(&places[class_of(g)], 1)] = g;
  __syncthreads();
  int carry = 0;
  for (int base = 0; base < list.groups; base += kThreads) {
    const int place = base + thread;
    int items = 0;
    if (place < list.groups) {
      const int g = list.order[place], rows = list.own_offsets[g + 1] - list.own_offsets[g];
      items = (rows + tile_rows - 1) / tile_rows * list.heads;
    }
    const int end = carry + scan_threads(items, warp_sums);
    if (place < list.groups) list.begin[place + 1] = end;
    __syncthreads();
    if (thread == kThreads - 1) warp_sums[0] = end;
    __syncthreads();
    carry = warp_sums[0];
  }
  if (thread == 0) list.begin[0] = 0;
}

}  // namespace

void list_work(const WorkList& list, int tile_rows, cudaStream_t stream) {
  list_work_kernel<<<1, kThreads, 0, stream>>>(list, tile_rows);
  check_launch("list_work");
}

}  // namespace moga::kernels
