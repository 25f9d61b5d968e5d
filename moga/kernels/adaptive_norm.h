// LayerNorm with a scale and shift per video, and the gated residual before it; forward and backward:
//
//   x = before + branch · gate_b                      if there is a branch; otherwise x is given
//   y = x̂ · weight_b + bias_b,  x̂ = (x − mean) · rstd
//   dx = dx_others + rstd · (g − mean(g) − x̂ · mean(g · x̂)),  g = dy · weight_b;  dbefore = dx
//   dbranch = dx · gate_b   dweight_b = Σ dy · x̂   dbias_b = Σ dy   dgate_b = Σ dx · branch   (Σ: rows of video b)
//
// Each row is read and written once. Arithmetic is float32, with x rounded to bfloat16 as it is stored. No torch.
#pragma once

#include "moga/kernels/bfloat16.h"
#include "moga/kernels/rows.h"

namespace moga::kernels {

struct AdaptiveNorm {
  const Bfloat16* before = nullptr;  // [videos · tokens, C]; without a branch: x
  const Bfloat16* branch = nullptr;  // [videos · tokens, C], or null
  const float* gate = nullptr;       // [videos, C], or null for 1
  Bfloat16* x = nullptr;             // [videos · tokens, C]; null without a branch
  const float* weight = nullptr;     // [videos, C]
  const float* bias = nullptr;       // [videos, C]
  Bfloat16* y = nullptr;             // [videos · tokens, C]
  float* mean = nullptr;             // [videos · tokens]
  float* rstd = nullptr;             // [videos · tokens]
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
  const Bfloat16* dx_others = nullptr;  // gradients that reach x elsewhere, or null for 0
  const Bfloat16* branch = nullptr;     // null without a gate; dbranch is then dx
  const float* gate = nullptr;
  Bfloat16* dx = nullptr;
  Bfloat16* dbranch = nullptr;
  float* dweight = nullptr;  // [videos, C], or null together with dbias
  float* dbias = nullptr;
  float* dgate = nullptr;    // [videos, C]; null without a gate
  float* partial = nullptr;  // scratch: partial_sums(shape) floats for each of the three sums
  RowShape shape;
  CUstream_st* stream = nullptr;
};
void adaptive_norm_backward(const AdaptiveNormBackward& work);

}  // namespace moga::kernels
