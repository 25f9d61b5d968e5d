// Elementwise operations over [N, H, D] in float32 (float64), rounded once. See branch_union.h.
#include "moga/attention/branch_union.h"

#include <ATen/ATen.h>

#include <limits>

#include "moga/core/check.h"

namespace moga {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// e^{lse - total}, a branch's share of the union [N, H]; zero for a query without any keys.
at::Tensor share_of(const at::Tensor& lse, const at::Tensor& total) {
  return (lse - total.masked_fill(total == -kInfinity, 0.0)).exp();
}

// log γ in the shape in which it is added to lse: [N, 1]
at::Tensor log_gate(const at::Tensor& gate, const at::Tensor& lse) { return gate.log().unsqueeze(1).to(lse.dtype()); }

}  // namespace

Attended branch_union(at::TensorList outputs, at::TensorList lses) {
  check(!outputs.empty() && outputs.size() == lses.size(), "branch union: ", outputs.size(), " outputs and ",
        lses.size(), " lses");
  const at::Tensor total = at::logsumexp(at::stack(lses), 0);  // [N, H]
  at::Tensor sum = outputs[0] * share_of(lses[0], total).unsqueeze(-1);
  for (size_t b = 1; b < outputs.size(); ++b)
    sum = at::addcmul(sum, outputs[b], share_of(lses[b], total).unsqueeze(-1));
  return {sum.to(outputs[0].scalar_type()), total};
}

at::Tensor gated_lse(const at::Tensor& lse, const at::Tensor& gate) { return lse + log_gate(gate, lse); }

at::Tensor ungated_lse(const at::Tensor& lse, const at::Tensor& gate) { return lse - log_gate(gate, lse); }

at::Tensor union_gate_gradient(const at::Tensor& grad, const Attended& gated, const Attended& merged) {
  const auto wide = c10::promoteTypes(grad.scalar_type(), at::kFloat);
  const at::Tensor change = gated.output.to(wide) - merged.output;  // [N, H, D]
  const at::Tensor product = (change * grad).sum(-1);               // [N, H]
  return (share_of(gated.lse, merged.lse) * product).sum(1);
}

}  // namespace moga
