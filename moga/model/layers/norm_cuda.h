// The elementwise arithmetic of norm.h, linear.h and vae_layers.h by our CUDA kernels (moga/kernels): the seam
// between tensors and plain pointers. Each function allocates, fills in and launches, once a span of equal videos; the
// callers have asked row_kernels_serve and checked shapes. Rows are contiguous bfloat16, vectors float32.
#pragma once

#include <array>

#include "moga/attention/row_kernels.h"
#include "moga/model/layers/norm.h"

namespace moga {

struct Normalised {
  at::Tensor x;           // [N, C], after the residual
  at::Tensor y;           // [N, C]
  at::Tensor mean, rstd;  // [N] float32
};
Normalised adaptive_norm_cuda(const Residual& residual, const at::Tensor& weight, const at::Tensor& bias,
                              const Spans& spans, double eps);
// Gradients: branch and gate undefined without a gate (then the branch's is x's), the vectors' undefined unless
// `vectors`. `others`: what other readers of x say about it, or undefined. Of the residual, branch and gate are read.
struct NormGradients {
  at::Tensor x, branch;           // [N, C]
  at::Tensor weight, bias, gate;  // [B, C]
};
NormGradients adaptive_norm_backward_cuda(const at::Tensor& dy, const at::Tensor& others, const Residual& residual,
                                          const at::Tensor& weight, const Normalised& forward, const Spans& spans,
                                          bool vectors);

at::Tensor gated_residual_cuda(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& gate,
                               const Spans& spans);
// Gradients of branch and gate; the latter undefined unless `vectors`.
std::array<at::Tensor, 2> gated_residual_backward_cuda(const at::Tensor& dy, const at::Tensor& branch,
                                                       const at::Tensor& gate, const Spans& spans, bool vectors);

// x [N, C], weight [C], table complex64 [N, D/2] or undefined (no turn).
at::Tensor qk_norm_cuda(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& table, double eps);
std::array<at::Tensor, 2> qk_norm_backward_cuda(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                                                const at::Tensor& table, double eps);

// x [N, C] → [C] float32
at::Tensor column_sum_cuda(const at::Tensor& x);

// The VAE's norm of x [B, C, …], stored channels-last, with gamma of C elements; see kernels/channel_norm.h. y, of x's
// sizes, need be channels-last only within each of the B, and so need `kept`, unless undefined [B, C, count, Y, X] for
// the last frames once more.
bool channel_norm_serves(const at::Tensor& x);
void channel_norm_cuda(const at::Tensor& x, const at::Tensor& gamma, bool silu, at::Tensor y, at::Tensor kept = {});

}  // namespace moga
