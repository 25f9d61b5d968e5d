// The router, forward and backward, in float32:
//
//   r = W x + b    p = softmax(r)    g = min { i : p_i = max p }    top = p_g    (a row of NaN goes to the last group)
//   dr = p ∘ (d − p·d), d = dp + dtop · 1_g    dx = dx_others + drᵀ W    dW = Σ dr x    (the caller computes db = Σ dr)
//
// x is read once in each direction, and the gradients that reach x elsewhere are added in the same pass. No torch.
#pragma once

#include "moga/kernels/bfloat16.h"
#include "moga/kernels/rows.h"

namespace moga::kernels {

inline constexpr int32_t kMaxRouterGroups = 64;

struct Router {
  const Bfloat16* x = nullptr;     // [tokens, C]
  const float* weight = nullptr;   // [M, C]
  const float* bias = nullptr;     // [M]
  float* probabilities = nullptr;  // [tokens, M]
  int64_t* group = nullptr;        // [tokens]
  float* top = nullptr;            // [tokens]
  int32_t groups = 0;              // M, at most kMaxRouterGroups
  RowShape shape;                  // one video
  CUstream_st* stream = nullptr;
};
void route(const Router& work);

struct RouterBackward {
  const Bfloat16* x = nullptr;
  const float* weight = nullptr;
  const float* probabilities = nullptr;
  const int64_t* group = nullptr;
  const float* dprobabilities = nullptr;  // [tokens, M], or null for 0
  const float* dtop = nullptr;            // [tokens], or null for 0
  const Bfloat16* dx_others = nullptr;    // [tokens, C], or null for 0
  Bfloat16* dx = nullptr;                 // [tokens, C], or null
  float* dlogits = nullptr;               // dr [tokens, M]
  float* dweight = nullptr;               // [M, C]
  float* partial = nullptr;               // scratch: router_partial_sums
  int32_t groups = 0;
  RowShape shape;
  CUstream_st* stream = nullptr;
};
size_t router_partial_sums(const RowShape& shape, int32_t groups);
void route_backward(const RouterBackward& work);

}  // namespace moga::kernels
