// Pointers, shapes and the current stream for the router's kernel; without MOGA_CUDA, errors. See router_kernels.h.
#include "moga/attention/router_kernels.h"

#include <ATen/ATen.h>

#include "moga/attention/kernel_tensors.h"
#include "moga/attention/row_kernels.h"

#ifdef MOGA_CUDA
#include <c10/core/DeviceGuard.h>

#include "moga/core/cuda_stream.h"
#include "moga/kernels/router.h"

namespace moga {
namespace {

at::Tensor floats(const at::Tensor& x) { return x.defined() ? x.to(at::kFloat).contiguous() : x; }

const float* read_floats(const at::Tensor& x) { return x.defined() ? x.const_data_ptr<float>() : nullptr; }

kernels::RowShape shape_of_tokens(const at::Tensor& x) { return {1, x.size(0), static_cast<int32_t>(x.size(1))}; }

}  // namespace

bool router_kernels_serve(const at::Tensor& x, int64_t groups) {
  return row_kernels_serve(x) && groups <= kernels::kMaxRouterGroups;
}

Routed route_cuda(const at::Tensor& x, const at::Tensor& weight_, const at::Tensor& bias_) {
  const c10::DeviceGuard guard(x.device());
  const at::Tensor weight = floats(weight_), bias = floats(bias_);
  const int64_t tokens = x.size(0), groups = weight.size(0);
  const auto wide = x.options().dtype(at::kFloat);
  Routed routed = {at::empty({tokens, groups}, wide), at::empty({tokens}, x.options().dtype(at::kLong)),
                   at::empty({tokens}, wide)};
  kernels::route({.x = kernel_read(x),
                  .weight = weight.const_data_ptr<float>(),
                  .bias = bias.const_data_ptr<float>(),
                  .probabilities = routed.probabilities.mutable_data_ptr<float>(),
                  .group = routed.group.mutable_data_ptr<int64_t>(),
                  .top = routed.top.mutable_data_ptr<float>(),
                  .groups = static_cast<int32_t>(groups),
                  .shape = shape_of_tokens(x),
                  .stream = current_cuda_stream(x.device())});
  return routed;
}

RouterGradients route_backward_cuda(const RoutedGradients& gradients, const at::Tensor& x, const at::Tensor& weight_,
                                    const Routed& routed, bool with_x) {
  const c10::DeviceGuard guard(x.device());
  const at::Tensor weight = floats(weight_), dprobabilities = floats(gradients.probabilities);
  const at::Tensor dtop = floats(gradients.top),
                   others = gradients.x.defined() ? gradients.x.contiguous() : at::Tensor();
  const auto groups = static_cast<int32_t>(weight.size(0));
  const kernels::RowShape shape = shape_of_tokens(x);
  RouterGradients result = {with_x ? at::empty_like(x) : at::Tensor(), at::empty_like(weight), {}};
  at::Tensor dlogits = at::empty_like(routed.probabilities);
  at::Tensor partial = at::empty({static_cast<int64_t>(kernels::router_partial_sums(shape, groups))}, weight.options());
  kernels::route_backward({.x = kernel_read(x),
                           .weight = weight.const_data_ptr<float>(),
                           .probabilities = routed.probabilities.const_data_ptr<float>(),
                           .group = routed.group.const_data_ptr<int64_t>(),
                           .dprobabilities = read_floats(dprobabilities),
                           .dtop = read_floats(dtop),
                           .dx_others = others.defined() ? kernel_read(others) : nullptr,
                           .dx = kernel_write(result.x),
                           .dlogits = dlogits.mutable_data_ptr<float>(),
                           .dweight = result.weight.mutable_data_ptr<float>(),
                           .partial = partial.mutable_data_ptr<float>(),
                           .groups = groups,
                           .shape = shape,
                           .stream = current_cuda_stream(x.device())});
  result.bias = dlogits.sum(0);
  return result;
}

}  // namespace moga

#else

namespace moga {

bool router_kernels_serve(const at::Tensor&, int64_t) { return false; }
Routed route_cuda(const at::Tensor&, const at::Tensor&, const at::Tensor&) { kernels_not_compiled(); }
RouterGradients route_backward_cuda(const RoutedGradients&, const at::Tensor&, const at::Tensor&, const Routed&, bool) {
  kernels_not_compiled();
}

}  // namespace moga

#endif
