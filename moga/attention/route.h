// The router's forward and backward passes (arXiv 2510.18692, section 3) without autograd: one CUDA kernel for bfloat16
// (router_kernels.h), ATen elsewhere.
//
//   r = x Wᵀ + b   p = softmax(r)   g = min { i : p_i = max p }   top = p_g
//
// r and p are float32 (float64 for float64). Everything runs on the device of x and waits for nothing. Two callers
// record these passes: the autograd function in router.cpp and the operators of the Python package.
#pragma once

#include "moga/attention/router_kernels.h"

namespace moga {

Routed route(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);  // [N, C], [M, C], [M]

// Gradients of x, in its dtype (with_x only), and of weight and bias, in theirs.
RouterGradients route_backward(const RoutedGradients& gradients, const at::Tensor& x, const at::Tensor& weight,
                               const at::Tensor& bias, const Routed& routed, bool with_x);

// Throws unless x is [N, C] and weight [M, C].
void check_route(const at::Tensor& x, const at::Tensor& weight);

}  // namespace moga
