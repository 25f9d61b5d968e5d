// Grouped attention for Hopper (sm_90a): softmax(scale · q kᵀ) v inside each group, forward and backward.
//
//   group g: query rows q_offsets[g] … q_offsets[g + 1] attend to key rows k_offsets[g] … k_offsets[g + 1]
//   q [nq, H, D], k, v [nk, H, D]  →  output [nq, H, D] bf16, lse [nq, H] float32 (natural logarithm)
//
// Rows are in group order; the caller gathers and scatters. Groups may be empty and of any size. A query whose group
// has no keys gets output 0 and lse -inf. Offsets are read on the device, so there is no host synchronisation and a
// launch can be captured in a CUDA graph. No torch: plain pointers and a stream.
#pragma once

#include <cstddef>
#include <cstdint>

#include "moga/kernels/bfloat16.h"

struct CUstream_st;

namespace moga::kernels {

// Rows of [H, D] values, `stride` elements apart. 16-byte aligned, so stride % 8 = 0.
struct HeadRows {
  const Bfloat16* data = nullptr;
  int64_t stride = 0;
};

// Whether a device can run these kernels (compute capability 9.0).
bool grouped_attention_runs_on(int device);

// Arguments shared by the forward and backward pass.
struct GroupedAttentionShape {
  int64_t queries = 0, keys = 0;       // nq, nk < 2^31
  int32_t groups = 0;                  // G
  int32_t heads = 0;                   // H
  int32_t head_size = 0;               // D: 64 or 128
  float scale = 0;                     // multiplies the scores, usually 1 / √D
  const int32_t* q_offsets = nullptr;  // [G + 1] on the device
  const int32_t* k_offsets = nullptr;  // [G + 1] on the device
  CUstream_st* stream = nullptr;
};

struct GroupedAttentionForward {
  GroupedAttentionShape shape;
  HeadRows q, k, v;
  Bfloat16* output = nullptr;  // [nq, H, D]
  float* lse = nullptr;        // [nq, H]
  void* scratch = nullptr;     // grouped_attention_forward_scratch bytes
};

size_t grouped_attention_forward_scratch(const GroupedAttentionShape& shape);
void grouped_attention_forward(const GroupedAttentionForward& call);

// Gradients with respect to q, k and v. Output and lse need not come from the forward pass above; they may, for
// example, come from several attentions merged by their lse. Weights are exp(scale · q kᵀ − lse).
struct GroupedAttentionBackward {
  GroupedAttentionShape shape;
  HeadRows q, k, v;
  HeadRows output, grad;                  // [nq, H, D]: the output and its gradient
  const float* lse = nullptr;             // [nq, H]
  Bfloat16* dq = nullptr;                 // [nq, H, D]
  Bfloat16 *dk = nullptr, *dv = nullptr;  // [nk, H, D]
  float* row_sums = nullptr;              // [nq, H] Σ_d grad ∘ output, or null
  bool deterministic = false;             // sums dq in a fixed order: same bits every run, slower
  void* scratch = nullptr;                // grouped_attention_backward_scratch bytes, 256-byte aligned
};

size_t grouped_attention_backward_scratch(const GroupedAttentionShape& shape);
void grouped_attention_backward(const GroupedAttentionBackward& call);

}  // namespace moga::kernels
