// RMSNorm over all heads, followed by the rotary embedding if a table is given, in one pass; forward and backward:
//
//   y = rotate(x · rstd · weight),  rstd = 1/√(mean x² + eps)     dx = rstd · (g·weight − x̂ · mean(g·weight·x̂))
//   g = rotate⁻¹(dy),  x̂ = x · rstd                               dweight = Σ g · x̂ over all rows
//
// The channel pair (2i, 2i + 1) of a head is rotated by table[row, i] = (cos, sin). No torch.
#pragma once

#include "moga/kernels/bfloat16.h"
#include "moga/kernels/rows.h"

namespace moga::kernels {

struct QkNorm {
  const Bfloat16* x = nullptr;    // [tokens, C]; one video: the weight is the same for all rows
  const float* weight = nullptr;  // [C]
  const float* table = nullptr;   // [tokens, D/2, 2], or null for no rotation
  Bfloat16* y = nullptr;          // [tokens, C]
  int32_t head_dim = 0;           // D, a multiple of 8
  float eps = 0;
  RowShape shape;
  CUstream_st* stream = nullptr;
};
void qk_norm(const QkNorm& work);

struct QkNormBackward {
  const Bfloat16* dy = nullptr;
  const Bfloat16* x = nullptr;
  const float* weight = nullptr;
  const float* table = nullptr;
  Bfloat16* dx = nullptr;
  float* dweight = nullptr;  // [C], or null
  float* partial = nullptr;  // scratch: partial_sums(shape)
  int32_t head_dim = 0;
  float eps = 0;
  RowShape shape;
  CUstream_st* stream = nullptr;
};
void qk_norm_backward(const QkNormBackward& work);

}  // namespace moga::kernels
