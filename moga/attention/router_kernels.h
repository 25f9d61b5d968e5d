// The router through our CUDA kernel (moga/kernels/router.h): allocates, fills in the kernel's arguments and launches.
// Callers have asked router_kernels_serve first and have checked shapes.
#pragma once

#include <ATen/core/Tensor.h>

namespace moga {

// Whether row_kernels_serve accepts x [N, C] and the kernel serves that many groups.
bool router_kernels_serve(const at::Tensor& x, int64_t groups);

struct Routed {
  at::Tensor probabilities;  // [N, M] float32
  at::Tensor group;          // [N] int64
  at::Tensor top;            // [N] float32, the probability of the group
};
Routed route_cuda(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);  // [N, C], [M, C], [M]

// Gradients of x through its other consumers, of the probabilities and of top; each may be undefined.
struct RoutedGradients {
  at::Tensor x, probabilities, top;
};
struct RouterGradients {
  at::Tensor x;             // [N, C], the given gradient of x included; undefined without with_x
  at::Tensor weight, bias;  // [M, C], [M] float32
};
RouterGradients route_backward_cuda(const RoutedGradients& gradients, const at::Tensor& x, const at::Tensor& weight,
                                    const Routed& routed, bool with_x);

}  // namespace moga
