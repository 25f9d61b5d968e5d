// Online softmax over tiles of scores held in product accumulators, in powers of two.
//
//   after each tile:  sum = Σ 2^(c·(score − max)),  c = scale · log2 e
//
// A thread holds parts of two rows; sum is its share of them until `total`. max is the whole row's maximum, or less, so
// that weights are at most 2^8: it moves, and what came before is rescaled, only when a row of the warp exceeds that.
#pragma once

#include "moga/kernels/device/warp.cuh"

namespace moga::kernels {

inline constexpr float kLog2E = 1.4426950408889634f;
inline constexpr float kLn2 = 0.6931471805599453f;

struct RowSoftmax {
  static constexpr float kSlack = 8;  // powers of two by which weights may exceed 1

  float max[2] = {-INFINITY, -INFINITY};
  float sum[2] = {0, 0};

  // The first tile's scores become their weights.
  template <int kCount>
  __device__ __forceinline__ void begin(float (&scores)[kCount], float c) {
    float larger[2], rescale[2];
    maxima(scores, larger);
    move(larger, rescale, c);
    weigh(scores, c);
  }

  // Scores become their weights. True if the maximum moved: what earlier outputs are worth now is then `rescale`.
  template <int kCount>
  __device__ __forceinline__ bool add(float (&scores)[kCount], float (&rescale)[2], float c) {
    float larger[2];
    maxima(scores, larger);
    const float slack = kSlack / c;
    const bool moved = __any_sync(kAllLanes, !(larger[0] <= max[0] + slack) || !(larger[1] <= max[1] + slack));
    if (moved) move(larger, rescale, c);
    weigh(scores, c);
    return moved;
  }

  __device__ __forceinline__ float total(int r) const { return quad_sum(sum[r]); }

 private:
  template <int kCount>
  __device__ __forceinline__ void maxima(const float (&scores)[kCount], float (&larger)[2]) const {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float even = max[r], odd = scores[2 * r + 1];  // two chains: a single one waits for its own latency
#pragma unroll
      for (int i = 2 * r; i < kCount; i += 4) {
        even = fmaxf(even, scores[i]);
        odd = fmaxf(odd, scores[i + 1]);
      }
      larger[r] = quad_max(fmaxf(even, odd));
    }
  }

  __device__ __forceinline__ void move(const float (&larger)[2], float (&rescale)[2], float c) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      rescale[r] = exp2_fast((max[r] - larger[r]) * c);
      max[r] = larger[r];
      sum[r] *= rescale[r];
    }
  }

  template <int kCount>
  __device__ __forceinline__ void weigh(float (&scores)[kCount], float c) {
    const float scaled_max[2] = {max[0] * c, max[1] * c};
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int r = i / 2 % 2;
      scores[i] = exp2_fast(scores[i] * c - scaled_max[r]);
      sum[r] += scores[i];
    }
  }
};

}  // namespace moga::kernels
