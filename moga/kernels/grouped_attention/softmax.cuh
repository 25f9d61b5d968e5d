// Online softmax over tiles of scores held in product accumulators, in powers of two.
//
//   after each tile:  max = running row maximum,  sum = Σ 2^(c·(score − max)),  c = scale · log2 e
//
// A thread holds parts of two rows; max is that of the whole row, sum is the thread's share until `total`.
#pragma once

#include "moga/kernels/device/warp.cuh"

namespace moga::kernels {

inline constexpr float kLog2E = 1.4426950408889634f;
inline constexpr float kLn2 = 0.6931471805599453f;

struct RowSoftmax {
  float max[2] = {-INFINITY, -INFINITY};
  float sum[2] = {0, 0};

  // Scores become their weights; `rescale` is what earlier weights and outputs are worth now.
  template <int kCount>
  __device__ __forceinline__ void add(float (&scores)[kCount], float (&rescale)[2], float c) {
    float scaled_max[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float even = max[r], odd = scores[2 * r + 1];  // two chains: a single one waits for its own latency
#pragma unroll
      for (int i = 2 * r; i < kCount; i += 4) {
        even = fmaxf(even, scores[i]);
        odd = fmaxf(odd, scores[i + 1]);
      }
      const float larger = quad_max(fmaxf(even, odd));
      rescale[r] = exp2_fast((max[r] - larger) * c);
      max[r] = larger;
      scaled_max[r] = larger * c;
      sum[r] *= rescale[r];
    }
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int r = i / 2 % 2;
      scores[i] = exp2_fast(scores[i] * c - scaled_max[r]);
      sum[r] += scores[i];
    }
  }

  __device__ __forceinline__ float total(int r) const { return quad_sum(sum[r]); }
};

}  // namespace moga::kernels
