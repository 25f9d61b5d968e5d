// Online softmax in base 2 over tiles of scores in product accumulators.
//
//   after each tile:  sum = Σ 2^(c·(score − max)),  c = scale · log2 e
//
// A thread holds parts of two rows; sum covers its own part until `total`. max may lag behind the row's true maximum as
// long as weights stay at most 2^8. It is updated, and earlier results are rescaled, only when a row of the warp
// exceeds that.
#pragma once

#include "moga/kernels/device/warp.cuh"

namespace moga::kernels {

inline constexpr float kLog2E = 1.4426950408889634f;
inline constexpr float kLn2 = 0.6931471805599453f;

struct RowSoftmax {
  static constexpr float kSlack = 8;  // powers of two by which weights may exceed 1

  float max[2] = {-INFINITY, -INFINITY};
  float sum[2] = {0, 0};

  // Turns the scores of the first tile into weights.
  template <int kCount>
  __device__ __forceinline__ void begin(float (&scores)[kCount], float c) {
    float larger[2], rescale[2];
    maxima(scores, larger);
    move(larger, rescale, c);
    weigh(scores, c);
  }

  // Turns scores into weights. Returns true if the maximum was updated; earlier outputs must then be scaled by
  // `rescale`.
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
      float even = max[r], odd = scores[2 * r + 1];  // two chains, because a single one is bound by latency
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
