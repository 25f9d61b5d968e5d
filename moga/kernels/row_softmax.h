// Softmax over each row of float32 scores, written as bfloat16:
//
//   y = exp(s·x − max(s·x)) / Σ exp(s·x − max(s·x))
//
// For attention whose head is too wide for fused kernels (the VAE's middle block). The scale is applied to the float32
// scores, and only the operand of the next product is written. No torch.
#pragma once

#include <cstdint>

#include "moga/kernels/bfloat16.h"

struct CUstream_st;

namespace moga::kernels {

struct RowSoftmax {
  const float* x = nullptr;  // [rows, columns]
  Bfloat16* y = nullptr;     // [rows, columns]
  float scale = 1;           // s
  int64_t rows = 0;          // at most 2^31 − 1
  int64_t columns = 0;
  CUstream_st* stream = nullptr;
};
void row_softmax(const RowSoftmax& work);

}  // namespace moga::kernels
