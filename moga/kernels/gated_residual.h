// x + branch · gate, with a gate per video; forward and backward:
//
//   y = x + branch · gate_b    dbranch = dy · gate_b    dgate_b = Σ dy · branch (sum over video b's rows)    dx = dy
//
// No torch.
#pragma once

#include "moga/kernels/bfloat16.h"
#include "moga/kernels/rows.h"

namespace moga::kernels {

struct GatedResidual {
  const Bfloat16* x = nullptr;       // [videos · tokens, C]
  const Bfloat16* branch = nullptr;  // [videos · tokens, C]
  const float* gate = nullptr;       // [videos, C]
  Bfloat16* y = nullptr;
  RowShape shape;
  CUstream_st* stream = nullptr;
};
void gated_residual(const GatedResidual& work);

struct GatedResidualBackward {
  const Bfloat16* dy = nullptr;
  const Bfloat16* branch = nullptr;
  const float* gate = nullptr;
  Bfloat16* dbranch = nullptr;
  float* dgate = nullptr;    // [videos, C], or null
  float* partial = nullptr;  // scratch: partial_sums(shape)
  RowShape shape;
  CUstream_st* stream = nullptr;
};
void gated_residual_backward(const GatedResidualBackward& work);

}  // namespace moga::kernels
