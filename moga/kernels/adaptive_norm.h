// LayerNorm with each video's own scale and shift, forward and backward:
//
//   y = x̂ · weight_b + bias_b,  x̂ = (x − mean) · rstd          dx = rstd · (g − mean(g) − x̂ · mean(g · x̂)),  g = dy · weight_b
//   dweight_b = Σ dy · x̂   dbias_b = Σ dy                       over the rows of video b
//
// One read and one write of the rows forward, two reads and one write backward; float32 inside. No torch.
#pragma once

#include "moga/kernels/bfloat16.h"
#include "moga/kernels/rows.h"

namespace moga::kernels {

struct AdaptiveNorm {
  const Bfloat16* x = nullptr;    // [videos · tokens, C]
  const float* weight = nullptr;  // [videos, C]
  const float* bias = nullptr;    // [videos, C]
  Bfloat16* y = nullptr;          // [videos · tokens, C]
  float* mean = nullptr;          // [videos · tokens]
  float* rstd = nullptr;          // [videos · tokens]
  float eps = 0;
  RowShape shape;
  CUstream_st* stream = nullptr;
};
void adaptive_norm(const AdaptiveNorm& work);

struct AdaptiveNormBackward {
  const Bfloat16* dy = nullptr;
  const Bfloat16* x = nullptr;
  const float* weight = nullptr;
  const float* mean = nullptr;
  const float* rstd = nullptr;
  Bfloat16* dx = nullptr;
  float* dweight = nullptr;  // [videos, C], or null together with dbias
  float* dbias = nullptr;
  float* partial = nullptr;  // scratch: 2 · partial_sums(shape)
  RowShape shape;
  CUstream_st* stream = nullptr;
};
void adaptive_norm_backward(const AdaptiveNormBackward& work);

}  // namespace moga::kernels
