// attend: the one attention operator, softmax(q kᵀ / √D) v inside each group, with gradients for q, k and v.
//
//   q [Nq, H, D]   k, v [Nk, H, D]   →   output [Nq, H, D] in q's dtype, lse [Nq, H] float32 (float64 for float64)
//
// Backends. Unless one is named, the first after the reference that serves device, dtype and D; the log names it:
//   reference  plain operations, any dtype and device, float64 included: the oracle
//   cpu        ATen's scaled_dot_product_attention a group, equal groups batched; float32, bfloat16
//   sm90       our kernels for Hopper (compute capability 9.0): bfloat16, D = 64 or 128
//   flash      ATen's varlen FlashAttention: CUDA, float16 and bfloat16, D ≤ 256 and a multiple of 8
// A request that a backend cannot serve throws and says what it can.
#pragma once

#include <string>

#include "moga/attention/grouping.h"

namespace moga {

struct Attended {
  at::Tensor output;
  at::Tensor lse;  // carries no gradient
};

Attended attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Grouping& grouping,
                const std::string& backend = "auto");

// The backend that "auto" stands for.
std::string default_backend(const at::Tensor& q);

}  // namespace moga
