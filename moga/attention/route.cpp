// See route.h. The plain passes keep x in its own dtype and convert it again in the backward pass, so that a block
// holds no float32 copy of its tokens.
#include "moga/attention/route.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"

namespace moga {
namespace {

// argmax with the lowest index on a tie, which at::argmax does not guarantee. A row of NaN goes to the last group.
at::Tensor first_argmax(const at::Tensor& p) {
  const at::Tensor numbers = at::arange(p.size(1), p.options().dtype(at::kLong)).expand_as(p);
  return numbers.masked_fill(p != p.amax(1, /*keepdim=*/true), p.size(1) - 1).amin(1);
}

Routed route_plain(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto wide = c10::promoteTypes(x.scalar_type(), at::kFloat);
  Routed routed;
  routed.probabilities = at::softmax(at::addmm(bias.to(wide), x.to(wide), weight.to(wide).t()), 1);
  routed.group = first_argmax(routed.probabilities);
  routed.top = routed.probabilities.gather(1, routed.group.unsqueeze(1)).squeeze(1);
  return routed;
}

// Of the probabilities, those through `top` included.
at::Tensor probability_gradient(const RoutedGradients& given, const Routed& routed) {
  if (!given.top.defined()) return given.probabilities;
  const at::Tensor top =
      at::zeros_like(routed.probabilities).scatter_add_(1, routed.group.unsqueeze(1), given.top.unsqueeze(1));
  return given.probabilities.defined() ? given.probabilities + top : top;
}

RouterGradients route_backward_plain(const RoutedGradients& given, const at::Tensor& x, const at::Tensor& weight,
                                     const at::Tensor& bias, const Routed& routed, bool with_x) {
  if (!given.probabilities.defined() && !given.top.defined()) return {};
  const at::Tensor& p = routed.probabilities;
  const at::Tensor grad = at::_softmax_backward_data(probability_gradient(given, routed), p, 1, p.scalar_type());
  RouterGradients result;
  if (with_x) result.x = grad.matmul(weight.to(grad.scalar_type())).to(x.scalar_type());
  result.weight = grad.t().matmul(x.to(grad.scalar_type())).to(weight.scalar_type());
  result.bias = grad.sum(0).to(bias.scalar_type());
  return result;
}

}  // namespace

void check_route(const at::Tensor& x, const at::Tensor& weight) {
  check(x.dim() == 2 && weight.dim() == 2 && x.size(1) == weight.size(1), "router: x is ", x.sizes(), ", expected [N, ",
        weight.size(-1), "]");
}

Routed route(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return router_kernels_serve(x, weight.size(0)) ? route_cuda(x, weight, bias) : route_plain(x, weight, bias);
}

RouterGradients route_backward(const RoutedGradients& gradients, const at::Tensor& x, const at::Tensor& weight,
                               const at::Tensor& bias, const Routed& routed, bool with_x) {
  if (!router_kernels_serve(x, weight.size(0))) return route_backward_plain(gradients, x, weight, bias, routed, with_x);
  RouterGradients result = route_backward_cuda(gradients, x, weight, routed, with_x);
  result.weight = result.weight.to(weight.scalar_type());
  result.bias = result.bias.to(bias.scalar_type());
  return result;
}

}  // namespace moga
