// The router through our CUDA kernel (moga/kernels/router.h): the seam between tensors and plain pointers. Callers ask
// router_kernels_serve first and have checked shapes.
#pragma once

#include <ATen/core/Tensor.h>

namespace moga {

// x [N, C] as row_kernels_serve wants it, and not more groups than the kernel takes.
bool router_kernels_serve(const at::Tensor& x, int64_t groups);

struct Routed {
  at::Tensor probabilities;  // [N, M] float32
  at::Tensor group;          // [N] int64
  at::Tensor top;            // [N] float32, the probability of the group
};
Routed route_cuda(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);  // [N, C], [M, C], [M]

// What is said about x by its other readers, about the probabilities and about top; each may be undefined.
struct RoutedGradients {
  at::Tensor x, probabilities, top;
};
struct RouterGradients {
  at::Tensor x;             // [N, C], the others' included; undefined unless asked for
  at::Tensor weight, bias;  // [M, C], [M] float32
};
RouterGradients route_backward_cuda(const RoutedGradients& gradients, const at::Tensor& x, const at::Tensor& weight,
                                    const Routed& routed, bool with_x);

}  // namespace moga
