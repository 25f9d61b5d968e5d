// The router's forward and backward (arXiv 2510.18692, section 3): one CUDA kernel for bfloat16, ATen elsewhere.
//
//   r = x Wᵀ + b   p = softmax(r)   g = min { i : p_i = max p }
//
// Everything runs on the device of x and waits for nothing.
#include "moga/attention/router.h"

#include <torch/autograd.h>
#include <torch/nn/init.h>

#include <cmath>

#include "moga/attention/router_kernels.h"
#include "moga/core/check.h"

namespace moga {
namespace {

// r [N, M] in float32 (float64). Keeps x in its own dtype and converts it again in the backward pass, so that a block
// holds no float32 copy of its tokens.
class RouterLogits : public torch::autograd::Function<RouterLogits> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias) {
    context->save_for_backward({x, weight, bias});
    const auto wide = c10::promoteTypes(x.scalar_type(), at::kFloat);
    return at::addmm(bias.to(wide), x.to(wide), weight.to(wide).t());
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto kept = context->get_saved_variables();
    const at::Tensor &grad = grads[0], &x = kept[0], &weight = kept[1], &bias = kept[2];  // grad [N, M]
    return {grad.matmul(weight.to(grad.scalar_type())).to(x.scalar_type()),
            grad.t().matmul(x.to(grad.scalar_type())).to(weight.scalar_type()), grad.sum(0).to(bias.scalar_type())};
  }
};

// The whole router by our kernel, which keeps neither logits nor a float32 x. x is an output too: gradients that reach
// it through its other consumers arrive here and are added in the pass that writes the gradient of x.
class RouteTokens : public torch::autograd::Function<RouteTokens> {
 public:
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                                                const at::Tensor& weight, const at::Tensor& bias) {
    const Routed routed = route_cuda(x, weight, bias);
    context->save_for_backward({x, weight, bias, routed.probabilities, routed.group, routed.top});
    context->mark_non_differentiable({routed.group});
    context->set_materialize_grads(false);
    return {x, routed.probabilities, routed.group, routed.top};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto kept = context->get_saved_variables();
    const at::Tensor &x = kept[0], &weight = kept[1], &bias = kept[2];
    const RouterGradients gradients = route_backward_cuda({grads[0], grads[1], grads[3]}, x, weight,
                                                          {kept[3], kept[4], kept[5]}, context->needs_input_grad(0));
    return {gradients.x, gradients.weight.to(weight.scalar_type()), gradients.bias.to(bias.scalar_type())};
  }
};

// argmax with the lowest index on a tie, which at::argmax does not guarantee. A row of NaN goes to the last group.
at::Tensor first_argmax(const at::Tensor& p) {
  const at::Tensor numbers = at::arange(p.size(1), p.options().dtype(at::kLong)).expand_as(p);
  return numbers.masked_fill(p != p.amax(1, /*keepdim=*/true), p.size(1) - 1).amin(1);
}

}  // namespace

RouterImpl::RouterImpl(int64_t width, int64_t groups, Gate gate) : gate_(gate) {
  check(width > 0 && groups > 0, "a router from width ", width, " to ", groups, " groups");
  const double bound = 1.0 / std::sqrt(static_cast<double>(width));
  weight = register_parameter("weight", torch::empty({groups, width}).uniform_(-bound, bound));
  bias = register_parameter("bias", torch::zeros({groups}));
}

TokenScores RouterImpl::score(const at::Tensor& x) {
  check(x.dim() == 2 && x.size(1) == weight.size(1), "router: x is ", x.sizes(), ", expected [N, ", weight.size(1),
        "]");
  TokenScores scores;
  scores.x = x;
  if (router_kernels_serve(x, weight.size(0))) {
    const auto routed = RouteTokens::apply(x, weight, bias);
    if (x.requires_grad()) scores.x = routed[0];
    scores.probabilities = routed[1];
    scores.group = routed[2];
    scores.gate = routed[3];
  } else {
    scores.probabilities = at::softmax(RouterLogits::apply(x, weight, bias), 1);
    scores.group = first_argmax(scores.probabilities.detach());
    scores.gate = scores.probabilities.gather(1, scores.group.unsqueeze(1)).squeeze(1);
  }
  if (gate_ == Gate::kNone) scores.gate.reset();
  if (gate_ == Gate::kStraightThrough) scores.gate = (scores.gate - scores.gate.detach()) + 1;
  return scores;
}

Routing RouterImpl::forward(const at::Tensor& x, const Layout& layout) {
  const TokenScores scores = score(x);
  return {scores, routed_groups(layout, scores.group, weight.size(0))};
}

}  // namespace moga
