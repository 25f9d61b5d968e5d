// Router and balance loss (arXiv 2510.18692, section 3; the "switch" form: Switch Transformer, arXiv 2101.03961).
//
//   r = x Wᵀ + b   p = softmax(r)   g = min { i : p_i = max p }   L = M Σ_i F_i P_i
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

// r [N, M] in float32 (float64). Keeps x as it is and widens it anew in the backward, so that a block does not hold
// a float32 copy of its tokens.
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

// All of it by our kernel, which keeps neither logits nor a wider x. x goes through, so that what its other readers say
// about it arrives here and is summed in the pass that writes its gradient.
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

// argmax with the lowest index on a tie, which at::argmax leaves open. A row of NaN goes to the last group.
at::Tensor first_argmax(const at::Tensor& p) {
  const at::Tensor numbers = at::arange(p.size(1), p.options().dtype(at::kLong)).expand_as(p);
  return numbers.masked_fill(p != p.amax(1, /*keepdim=*/true), p.size(1) - 1).amin(1);
}

void check_gate(const std::string& gate) {
  check(gate == "probability" || gate == "straight_through" || gate == "none", "gate '", gate,
        "' is not one of probability, straight_through, none");
}

}  // namespace

RouterImpl::RouterImpl(int64_t width, int64_t groups, std::string gate) : gate_(std::move(gate)) {
  check(width > 0 && groups > 0, "a router from width ", width, " to ", groups, " groups");
  check_gate(gate_);
  const double bound = 1.0 / std::sqrt(static_cast<double>(width));
  weight = register_parameter("weight", torch::empty({groups, width}).uniform_(-bound, bound));
  bias = register_parameter("bias", torch::zeros({groups}));
}

Routing RouterImpl::forward(const at::Tensor& x, const Layout& layout) {
  check(x.dim() == 2 && x.size(1) == weight.size(1), "router: x is ", x.sizes(), ", expected [N, ", weight.size(1),
        "]");
  Routing routing;
  routing.x = x;
  if (router_kernels_serve(x, weight.size(0))) {
    const auto routed = RouteTokens::apply(x, weight, bias);
    if (x.requires_grad()) routing.x = routed[0];
    routing.probabilities = routed[1];
    routing.group = routed[2];
    routing.gate = routed[3];
  } else {
    routing.probabilities = at::softmax(RouterLogits::apply(x, weight, bias), 1);
    routing.group = first_argmax(routing.probabilities.detach());
    routing.gate = routing.probabilities.gather(1, routing.group.unsqueeze(1)).squeeze(1);
  }
  routing.grouping = routed_groups(layout, routing.group, weight.size(0));
  if (gate_ == "none") routing.gate.reset();
  if (gate_ == "straight_through") routing.gate = (routing.gate - routing.gate.detach()) + 1;
  return routing;
}

at::Tensor balance_loss(const Routing& routing, const Layout& layout, const std::string& form) {
  check(form == "switch" || form == "paper", "balance loss '", form, "' is not one of switch, paper");
  at::Tensor p = routing.probabilities;  // [N, M]
  const int64_t groups = p.size(1), videos = static_cast<int64_t>(layout.videos.size());
  if (form == "paper") p = p * (routing.group.unsqueeze(1) == at::arange(groups, routing.group.options()));
  const at::Tensor counts = group_histogram(routing, layout);  // [B, M]
  at::Tensor sum = at::zeros({}, p.options());
  for (const EqualVideos& run : layout.equal_videos()) {
    const at::Tensor mean =
        p.narrow(0, run.begin, run.videos * run.tokens).view({run.videos, run.tokens, groups}).mean(1);
    const at::Tensor fraction = counts.narrow(0, run.first, run.videos).to(p.scalar_type()) / run.tokens;
    sum = sum + (fraction * mean).sum();
  }
  return sum * (static_cast<double>(groups) / static_cast<double>(videos));
}

at::Tensor group_histogram(const Routing& routing, const Layout& layout) {
  return routing.grouping.query.offsets.diff()
      .view({static_cast<int64_t>(layout.videos.size()), routing.probabilities.size(1)})
      .to(at::kLong);
}

}  // namespace moga
