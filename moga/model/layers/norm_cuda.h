// The elementwise arithmetic of norm.h, qk_norm.h, linear.h, product_weight.h and vae/layers.h by our CUDA kernels
// (moga/kernels): the seam between tensors and plain pointers. Each function allocates, fills in and launches, once per
// segment; its caller has asked row_kernels_serve and checked shapes. Rows are contiguous bfloat16, vectors are
// converted to float32.
#pragma once

#include <array>

#include "moga/attention/row_kernels.h"
#include "moga/model/layers/norm.h"
#include "moga/model/layers/product_weight.h"

namespace moga {

struct Normalised {
  at::Tensor x;           // [N, C], after the residual
  at::Tensor y;           // [N, C]
  at::Tensor mean, rstd;  // [N] float32
};
Normalised adaptive_norm_cuda(const Residual& residual, const at::Tensor& weight, const at::Tensor& bias,
                              const Segments& segments, double eps);
// Gradients. Those of branch and gate are undefined without a gate (the branch's is then x's), those of the vectors
// unless `vectors`. `others`: gradients that reach x elsewhere, or undefined. Only branch and gate of the residual are
// read.
struct NormGradients {
  at::Tensor x, branch;           // [N, C]
  at::Tensor weight, bias, gate;  // [V, C]
};
NormGradients adaptive_norm_backward_cuda(const at::Tensor& dy, const at::Tensor& others, const Residual& residual,
                                          const at::Tensor& weight, const Normalised& forward, const Segments& segments,
                                          bool vectors);

at::Tensor gated_residual_cuda(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& gate,
                               const Segments& segments);
// Gradients of branch and gate; the latter undefined unless `vectors`.
std::array<at::Tensor, 2> gated_residual_backward_cuda(const at::Tensor& dy, const at::Tensor& branch,
                                                       const at::Tensor& gate, const Segments& segments, bool vectors);

// x [N, C], weight [C], table complex64 [N, D/2] or undefined (no rotation).
at::Tensor qk_norm_cuda(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& table, double eps);
std::array<at::Tensor, 2> qk_norm_backward_cuda(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                                                const at::Tensor& table, double eps);

// x [N, C] → [C] float32
at::Tensor column_sum_cuda(const at::Tensor& x);

// x, or GELU of x (tanh form), in 8 bits: kernels/eight_bits.h.
bool eight_bits_serve(const at::Tensor& x);
Scaled8Bit eight_bits_cuda(const at::Tensor& x, bool gelu);

// The VAE's norm of x [B, C, …], stored channels-last, with gamma of C elements; see kernels/channel_norm.h. y has x's
// sizes. `kept` [B, C, count, Y, X], where defined, receives a second copy of the last `count` frames. Both need be
// channels-last only within each of the B.
bool channel_norm_serves(const at::Tensor& x);
void channel_norm_cuda(const at::Tensor& x, const at::Tensor& gamma, bool silu, at::Tensor y, at::Tensor kept = {});

}  // namespace moga
