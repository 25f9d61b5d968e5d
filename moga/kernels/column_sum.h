// out [C] = sum over the rows of x [tokens, C], in float32: the gradient of a linear layer's bias. No torch.
#pragma once

#include "moga/kernels/bfloat16.h"
#include "moga/kernels/rows.h"

namespace moga::kernels {

struct ColumnSum {
  const Bfloat16* x = nullptr;  // [videos · tokens, C]
  float* out = nullptr;         // [videos, C]
  float* partial = nullptr;     // scratch: partial_sums(shape)
  RowShape shape;
  CUstream_st* stream = nullptr;
};
void column_sum(const ColumnSum& work);

}  // namespace moga::kernels
