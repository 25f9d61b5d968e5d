// The router and its balance loss as operators.
//
//   moga::route         x [N, C], weight [M, C], bias [M] → p [N, M] float32, group [N] int64, top [N] float32
//   moga::balance_loss  p, group, offsets [B·M + 1] of the routed groups → a scalar, without α
//
// balance_loss consists of ATen's operations, which autograd, tracing and compilers see through.
#include <ATen/ATen.h>
#include <torch/library.h>

#include "autocast.h"
#include "moga/attention/balance_loss.h"
#include "moga/attention/route.h"
#include "plain.h"

namespace moga::python {
namespace {

using Three = std::tuple<at::Tensor, at::Tensor, at::Tensor>;
using Optional = std::optional<at::Tensor>;

Three route_operator(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  check_route(x, weight);
  const Routed routed = route(x, weight, bias);
  return {routed.probabilities, routed.group, routed.top};
}

// grad_top and grad_probabilities: at least one is given. Without with_x the gradient of x has no elements.
Three route_backward_operator(const Optional& grad_probabilities, const Optional& grad_top, const at::Tensor& x,
                              const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& probabilities,
                              const at::Tensor& group, const at::Tensor& top, bool with_x) {
  const RoutedGradients given = {{}, grad_probabilities.value_or(at::Tensor()), grad_top.value_or(at::Tensor())};
  RouterGradients result = route_backward(given, x, weight, bias, {probabilities, group, top}, with_x);
  if (!result.x.defined()) result.x = at::empty({0}, x.options());
  return {result.x, result.weight, result.bias};
}

at::Tensor balance_loss_operator(const at::Tensor& probabilities, const at::Tensor& group, const at::Tensor& offsets,
                                 at::IntArrayRef videos, std::string_view form) {
  const Layout layout = layout_of(videos);
  Routing routing;
  routing.probabilities = probabilities;
  routing.group = group;
  routing.grouping.query.offsets = offsets;
  return balance_loss(routing, layout, choice<BalanceForm>("balance loss", std::string(form)));
}

template <c10::DeviceType device>
Three route_autocast(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const WithoutAutocast guard(device);
  static const auto next = operator_named<Three(const at::Tensor&, const at::Tensor&, const at::Tensor&)>("route");
  return next.call(x, weight, bias);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(moga, library) {
  library.def("route(Tensor x, Tensor weight, Tensor bias) -> (Tensor probabilities, Tensor group, Tensor top)");
  library.def(
      "route_backward(Tensor? grad_probabilities, Tensor? grad_top, Tensor x, Tensor weight, Tensor bias, "
      "Tensor probabilities, Tensor group, Tensor top, bool with_x) -> (Tensor x, Tensor weight, Tensor bias)");
  library.def(
      "balance_loss(Tensor probabilities, Tensor group, Tensor offsets, int[] videos, str form='switch') -> Tensor",
      balance_loss_operator);
}

#define MOGA_IMPLEMENT(library)          \
  library.impl("route", route_operator); \
  library.impl("route_backward", route_backward_operator)

TORCH_LIBRARY_IMPL(moga, CPU, library) { MOGA_IMPLEMENT(library); }
TORCH_LIBRARY_IMPL(moga, CUDA, library) { MOGA_IMPLEMENT(library); }
TORCH_LIBRARY_IMPL(moga, AutocastCPU, library) { library.impl("route", route_autocast<c10::kCPU>); }
TORCH_LIBRARY_IMPL(moga, AutocastCUDA, library) { library.impl("route", route_autocast<c10::kCUDA>); }

}  // namespace moga::python
