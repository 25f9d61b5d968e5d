// See row_softmax.h. One CTA per row. The first pass finds maximum and sum together; the second reads the row again,
// now from the caches (25 KB at 480p), and writes. Exponentials use base 2.
#include "moga/kernels/row_softmax.h"

#include <cuda_bf16.h>

#include "moga/kernels/device/launch.h"
#include "moga/kernels/device/warp.cuh"

namespace moga::kernels {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarp;
constexpr float kLog2E = 1.44269504f, kLowest = -3.0e38f;

// Running Σ 2^(x − maximum), where the maximum is known only at the end.
struct Sum {
  float maximum, sum;

  __device__ __forceinline__ void add(const Sum& other) {
    const float larger = fmaxf(maximum, other.maximum);
    sum = sum * exp2_fast(maximum - larger) + other.sum * exp2_fast(other.maximum - larger);
    maximum = larger;
  }
};

__device__ __forceinline__ Sum over_cta(Sum mine) {
  __shared__ Sum parts[kWarps];
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) {
    mine.add({__shfl_xor_sync(kAllLanes, mine.maximum, step), __shfl_xor_sync(kAllLanes, mine.sum, step)});
  }
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = mine;
  __syncthreads();
  Sum all = parts[0];
#pragma unroll
  for (int warp = 1; warp < kWarps; ++warp) all.add(parts[warp]);
  return all;
}

__global__ void __launch_bounds__(kThreads) softmax(RowSoftmax work) {
  const float* x = work.x + blockIdx.x * work.columns;
  auto* y = reinterpret_cast<__nv_bfloat16*>(work.y) + blockIdx.x * work.columns;
  const float scale = work.scale * kLog2E;
  Sum mine = {kLowest, 0};
#pragma unroll 4
  for (int64_t i = threadIdx.x; i < work.columns; i += kThreads) mine.add({x[i] * scale, 1});
  const Sum all = over_cta(mine);
  const float inverse = 1.0f / all.sum;
#pragma unroll 4
  for (int64_t i = threadIdx.x; i < work.columns; i += kThreads)
    y[i] = __float2bfloat16_rn(exp2_fast(x[i] * scale - all.maximum) * inverse);
}

}  // namespace

void row_softmax(const RowSoftmax& work) {
  softmax<<<static_cast<unsigned>(work.rows), kThreads, 0, work.stream>>>(work);
  check_launch("row_softmax");
}

}  // namespace moga::kernels
