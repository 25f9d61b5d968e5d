// The autograd function of the router and its module. The passes are route.h's.
#include "moga/attention/router.h"

#include <torch/autograd.h>
#include <torch/nn/init.h>

#include <cmath>

#include "moga/attention/route.h"
#include "moga/core/check.h"

namespace moga {
namespace {

// x is an output too: where the router's kernel serves, gradients that reach x through its other consumers arrive here
// and are added in the pass that writes the gradient of x.
class RouteTokens : public torch::autograd::Function<RouteTokens> {
 public:
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                                                const at::Tensor& weight, const at::Tensor& bias) {
    const Routed routed = route(x, weight, bias);
    context->save_for_backward({x, weight, bias, routed.probabilities, routed.group, routed.top});
    context->mark_non_differentiable({routed.group});
    context->set_materialize_grads(false);
    return {x, routed.probabilities, routed.group, routed.top};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto kept = context->get_saved_variables();
    const RouterGradients gradients = route_backward({grads[0], grads[1], grads[3]}, kept[0], kept[1], kept[2],
                                                     {kept[3], kept[4], kept[5]}, context->needs_input_grad(0));
    return {gradients.x, gradients.weight, gradients.bias};
  }
};

}  // namespace

RouterImpl::RouterImpl(int64_t width, int64_t groups, Gate gate) : gate_(gate) {
  check(width > 0 && groups > 0, "a router from width ", width, " to ", groups, " groups");
  const double bound = 1.0 / std::sqrt(static_cast<double>(width));
  weight = register_parameter("weight", torch::empty({groups, width}).uniform_(-bound, bound));
  bias = register_parameter("bias", torch::zeros({groups}));
}

TokenScores RouterImpl::score(const at::Tensor& x) {
  check_route(x, weight);
  const auto routed = RouteTokens::apply(x, weight, bias);
  TokenScores scores;
  scores.x = router_kernels_serve(x, weight.size(0)) && x.requires_grad() ? routed[0] : x;
  scores.probabilities = routed[1];
  scores.group = routed[2];
  scores.gate = routed[3];
  if (gate_ == Gate::kNone) scores.gate.reset();
  if (gate_ == Gate::kStraightThrough) scores.gate = (scores.gate - scores.gate.detach()) + 1;
  return scores;
}

Routing RouterImpl::forward(const at::Tensor& x, const Layout& layout) {
  const TokenScores scores = score(x);
  return {scores, routed_groups(layout, scores.group, weight.size(0))};
}

}  // namespace moga
