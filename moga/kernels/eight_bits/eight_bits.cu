// See eight_bits.h. Two passes over x: its largest magnitude, then the quotients. A thread reads 16 elements, 32 bytes,
// and writes 16 bytes at a time.
#include "moga/kernels/eight_bits.h"

#include <cuda_fp8.h>

#include <algorithm>

#include "moga/kernels/device/gelu.h"
#include "moga/kernels/device/launch.h"
#include "moga/kernels/device/vector8.cuh"
#include "moga/kernels/device/warp.cuh"

namespace moga::kernels {
namespace {

constexpr int kThreads = 512, kBlocks = 1056;  // enough of them to fill any GPU of today
constexpr float kLargest = 448;                // of float8_e4m3fn
constexpr float kSmallest = 1e-12f;            // an x of zeros has a scale

struct Sixteen {
  float value[2][kElements];
};

template <bool kGelu>
__device__ __forceinline__ Sixteen load(const Bfloat16* x, int64_t step) {
  Sixteen result;
  const uint4* packed = reinterpret_cast<const uint4*>(x) + 2 * step;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    unpack(packed[half], result.value[half]);
    if constexpr (kGelu) {
#pragma unroll
      for (float& value : result.value[half]) value = gelu(value).value;
    }
  }
  return result;
}

template <class Work>
__device__ __forceinline__ void for_steps(int64_t count, const Work& work) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t step = blockIdx.x * static_cast<int64_t>(kThreads) + threadIdx.x; step < count / kEightBitStep;
       step += stride)
    work(step);
}

// Magnitudes are compared as integers: the order is the same, and a NaN is above all numbers.
template <bool kGelu>
__global__ void __launch_bounds__(kThreads) find_largest(EightBits work) {
  int largest = 0;
  for_steps(work.count, [&](int64_t step) {
    const Sixteen x = load<kGelu>(work.x, step);
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (const float value : x.value[half]) largest = max(largest, __float_as_int(fabsf(value)));
  });
  largest = __reduce_max_sync(kAllLanes, largest);
  if (threadIdx.x % kWarp == 0) atomicMax(reinterpret_cast<int*>(work.largest), largest);
}

template <bool kGelu>
__global__ void __launch_bounds__(kThreads) divide(EightBits work) {
  const float found = *work.largest;
  const float largest = found < kSmallest ? kSmallest : found;  // NaN stays
  const float inverse = kLargest / largest;
  if (blockIdx.x == 0 && threadIdx.x == 0) *work.scale = largest / kLargest;
  for_steps(work.count, [&](int64_t step) {
    const Sixteen x = load<kGelu>(work.x, step);
    uint4 packed;
    auto* pairs = reinterpret_cast<__nv_fp8x2_storage_t*>(&packed);
#pragma unroll
    for (int pair = 0; pair < kElements; ++pair) {
      const float* value = &x.value[pair / 4][2 * (pair % 4)];
      pairs[pair] = __nv_cvt_float2_to_fp8x2({value[0] * inverse, value[1] * inverse}, __NV_SATFINITE, __NV_E4M3);
    }
    reinterpret_cast<uint4*>(work.y)[step] = packed;
  });
}

template <bool kGelu>
void launch(const EightBits& work) {
  const auto needed = (work.count / kEightBitStep + kThreads - 1) / kThreads;
  const auto blocks = static_cast<unsigned>(std::clamp<int64_t>(needed, 1, kBlocks));
  find_largest<kGelu><<<blocks, kThreads, 0, work.stream>>>(work);
  check_launch("largest of eight_bits");
  divide<kGelu><<<blocks, kThreads, 0, work.stream>>>(work);
  check_launch("eight_bits");
}

}  // namespace

void eight_bits(const EightBits& work) {
  check_cuda(cudaMemsetAsync(work.largest, 0, sizeof(float), work.stream), "eight_bits");
  work.gelu ? launch<true>(work) : launch<false>(work);
}

}  // namespace moga::kernels
