// A matrix product followed by GELU (tanh form), through cuBLASLt's epilogue:
//
//   pre = x Wᵀ + b    y = gelu(pre)      both written by the product; the hidden layer of an MLP
//
// gelu_gradient.h has the gradient: cuBLASLt's own is not fused but a separate pass, four times slower than memory
// bandwidth allows. The library comes with PyTorch and is found in the running process. No torch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "moga/kernels/bfloat16.h"

struct CUstream_st;

namespace moga::kernels {

inline constexpr size_t kProductWorkspace = size_t{32} << 20;  // bytes, as PyTorch uses for cuBLASLt on Hopper

// Sizes are multiples of 8, pointers 16-byte aligned.
struct GeluProduct {
  const Bfloat16* x = nullptr;       // [rows, in]
  const Bfloat16* weight = nullptr;  // [hidden, in]
  const Bfloat16* bias = nullptr;    // [hidden]
  Bfloat16* pre = nullptr;           // [rows, hidden]
  Bfloat16* y = nullptr;             // [rows, hidden]
  int64_t rows = 0, in = 0, hidden = 0;
  void* workspace = nullptr;  // kProductWorkspace bytes
  CUstream_st* stream = nullptr;
};
void gelu_product(const GeluProduct& work);

}  // namespace moga::kernels
