// The gradients of GELU (tanh form) and of the bias before it, and GELU itself again, in one pass:
//
//   dpre = dy ∘ gelu'(pre)    dbias = sum over the rows of dpre, in float32 before dpre is rounded    y = gelu(pre)
//
// It runs between the backward products of an MLP; the forward counterpart is gelu_product.h. Reads two tensors once
// and writes both in place, so that y need not be kept between the passes; the sums are deterministic. No torch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "moga/kernels/bfloat16.h"

struct CUstream_st;

namespace moga::kernels {

struct GeluGradient {
  const Bfloat16* dy = nullptr;   // [rows, hidden]
  const Bfloat16* pre = nullptr;  // [rows, hidden]
  Bfloat16* dpre = nullptr;       // [rows, hidden]; may be dy
  Bfloat16* y = nullptr;          // [rows, hidden]; may be pre
  float* dbias = nullptr;         // [hidden]
  float* partial = nullptr;       // scratch: gelu_gradient_partial(rows, hidden) floats
  int64_t rows = 0;
  int32_t hidden = 0;  // a multiple of 8
  CUstream_st* stream = nullptr;
};
void gelu_gradient(const GeluGradient& work);

size_t gelu_gradient_partial(int64_t rows, int32_t hidden);

}  // namespace moga::kernels
