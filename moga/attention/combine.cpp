// The union's softmax over key j of branch b is P = exp(s_j + log γ_b - LSE), LSE = log Σ_b γ_b e^{lse_b}, with γ the
// gate in the last branch and 1 elsewhere. So its backward is that of each branch alone, given LSE - log γ_b and the
// merged output O in place of the branch's own:
//
//   dS = P ∘ (dO·v_j - dO·O)     dγ = Σ_h e^{lse_b - LSE} dO·(O_b - O)
//
// No gradient goes through a branch's lse, and of the branches' outputs only the gated one is kept.
#include "moga/attention/combine.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <algorithm>
#include <limits>

#include "moga/attention/backends.h"
#include "moga/attention/rows.h"
#include "moga/core/check.h"

namespace moga {
namespace {

using Variables = torch::autograd::variable_list;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

at::ScalarType wide(const at::Tensor& x) { return c10::promoteTypes(x.scalar_type(), at::kFloat); }

// e^{lse - total}, a branch's share of the union [N, H]; zero for a query without any keys.
at::Tensor share_of(const at::Tensor& lse, const at::Tensor& total) {
  return (lse - total.masked_fill(total == -kInfinity, 0.0)).exp();
}

// Of the gate [N], as it is added to lse: [N, 1]
at::Tensor log_of(const at::Tensor& gate, const at::Tensor& lse) { return gate.log().unsqueeze(1).to(lse.dtype()); }

struct UnionCall : torch::CustomClassHolder {
  UnionCall(const Backend& backend, const std::vector<Grouping>& groupings) : backend(backend), groupings(groupings) {}
  const Backend& backend;
  const std::vector<Grouping> groupings;
  std::vector<std::pair<size_t, size_t>> saved;  // of each grouping: its backend's tensors, [begin, end) of those kept
};

Attended attend_branch(const Backend& backend, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       const Grouping& grouping, Variables& kept) {
  const GroupedAttention grouped = backend.forward(gather_rows(q, grouping.query), gather_rows(k, grouping.key),
                                                   gather_rows(v, grouping.key), grouping);
  kept.insert(kept.end(), grouped.saved.begin(), grouped.saved.end());
  return {scatter_rows(grouped.output, grouping.query, q.size(0)),
          scatter_rows(grouped.lse, grouping.query, q.size(0), -kInfinity)};
}

class UnionFunction : public torch::autograd::Function<UnionFunction> {
 public:
  static Variables forward(torch::autograd::AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                           const at::Tensor& v, const std::optional<at::Tensor>& optional_gate, const Backend& backend,
                           const std::vector<Grouping>& groupings) {
    const at::Tensor gate = optional_gate.value_or(at::Tensor());
    const auto call = c10::make_intrusive<UnionCall>(backend, groupings);
    std::vector<at::Tensor> outputs, lses;
    Variables kept(kFixed);
    for (const Grouping& grouping : groupings) {
      const size_t begin = kept.size();
      const Attended branch = attend_branch(backend, q, k, v, grouping, kept);
      call->saved.emplace_back(begin, kept.size());
      outputs.push_back(branch.output);
      lses.push_back(branch.lse);
    }
    kept[kGate] = gate;
    if (gate.defined()) {
      if (gate.requires_grad()) {
        kept[kGatedOutput] = outputs.back();
        kept[kGatedLse] = lses.back();
      }
      lses.back() = lses.back() + log_of(gate, lses.back());
    }
    const Attended merged = combine_lse(outputs, lses);
    std::ranges::copy(Variables{q, k, v, merged.output, merged.lse}, kept.begin());
    context->save_for_backward(kept);
    context->saved_data["call"] = c10::IValue::make_capsule(call);
    context->mark_non_differentiable({merged.lse});
    context->set_materialize_grads(false);
    return {merged.output, merged.lse};
  }

  static Variables backward(torch::autograd::AutogradContext* context, const Variables& grads) {
    if (!grads[0].defined()) return Variables(6);
    const Variables kept = context->get_saved_variables();
    const auto call = c10::static_intrusive_pointer_cast<UnionCall>(context->saved_data["call"].toCapsule());
    Variables result(6);
    for (size_t b = 0; b < call->groupings.size(); ++b) {
      const bool gated = kept[kGate].defined() && b + 1 == call->groupings.size();
      const at::Tensor lse = gated ? kept[kLse] - log_of(kept[kGate], kept[kLse]) : kept[kLse];  // [N, H]
      const Variables branch = branch_gradients(*call, b, grads[0], kept, lse);
      for (size_t i = 0; i < branch.size(); ++i) result[i] = b == 0 ? branch[i] : result[i] + branch[i];
    }
    if (kept[kGatedOutput].defined()) result[3] = gate_gradient(grads[0], kept);
    return result;
  }

 private:
  // Places of the tensors kept; the backends' own follow.
  enum Kept : size_t { kQ, kK, kV, kOutput, kLse, kGate, kGatedOutput, kGatedLse, kFixed };

  static Variables branch_gradients(const UnionCall& call, size_t b, const at::Tensor& grad, const Variables& kept,
                                    const at::Tensor& lse) {
    const auto [begin, end] = call.saved[b];
    const Rows &query = call.groupings[b].query, &key = call.groupings[b].key;
    const auto gradients = call.backend.backward(
        gather_rows(grad, query).contiguous(), gather_rows(kept[kQ], query), gather_rows(kept[kK], key),
        gather_rows(kept[kV], key), gather_rows(kept[kOutput], query), gather_rows(lse, query),
        {kept.begin() + static_cast<ptrdiff_t>(begin), kept.begin() + static_cast<ptrdiff_t>(end)}, call.groupings[b]);
    return {accumulate_rows(gradients[0], query, kept[kQ].size(0)),
            accumulate_rows(gradients[1], key, kept[kK].size(0)), accumulate_rows(gradients[2], key, kept[kV].size(0))};
  }

  static at::Tensor gate_gradient(const at::Tensor& grad, const Variables& kept) {
    const at::Tensor change = kept[kGatedOutput].to(wide(grad)) - kept[kOutput];  // [N, H, D]
    const at::Tensor product = (change * grad).sum(-1);                           // [N, H]
    return (share_of(kept[kGatedLse], kept[kLse]) * product).sum(1).to(kept[kGate].scalar_type());
  }
};

}  // namespace

at::Tensor combine_mean(at::TensorList branches, const at::Tensor& gate) {
  check(!branches.empty(), "combine: there are no branches");
  std::vector<at::Tensor> scaled = branches.vec();
  if (gate.defined()) scaled.back() = scaled.back() * gate.view({-1, 1, 1});
  const at::ScalarType dtype = branches[0].scalar_type();
  if (scaled.size() == 1) return scaled[0].to(dtype);
  at::Tensor sum = scaled[0].to(wide(scaled[0]));
  for (size_t i = 1; i < scaled.size(); ++i) sum = sum + scaled[i];
  return (sum / static_cast<double>(scaled.size())).to(dtype);
}

Attended combine_lse(at::TensorList outputs, at::TensorList lses) {
  check(!outputs.empty() && outputs.size() == lses.size(), "combine: ", outputs.size(), " outputs and ", lses.size(),
        " lses");
  const at::Tensor total = at::logsumexp(at::stack(lses), 0);  // [N, H]
  at::Tensor sum = outputs[0] * share_of(lses[0], total).unsqueeze(-1);
  for (size_t b = 1; b < outputs.size(); ++b)
    sum = at::addcmul(sum, outputs[b], share_of(lses[b], total).unsqueeze(-1));
  return {sum.to(outputs[0].scalar_type()), total};
}

Attended attend_union(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                      const std::vector<Grouping>& groupings, const at::Tensor& gate, const std::string& backend) {
  check(!groupings.empty(), "attend: the union of no groupings");
  check_attend(q, k, v, groupings, gate);
  if (const Backend* chosen = choose_backend(q, backend)) {
    const auto optional_gate = gate.defined() ? std::optional(gate) : std::nullopt;
    const Variables results = UnionFunction::apply(q, k, v, optional_gate, *chosen, groupings);
    return {results[0], results[1]};
  }
  std::vector<at::Tensor> outputs, lses;
  for (const Grouping& grouping : groupings) {
    const Attended branch = attend_reference(q, k, v, grouping);
    outputs.push_back(branch.output);
    lses.push_back(branch.lse);
  }
  if (gate.defined()) lses.back() = lses.back() + log_of(gate, lses.back());
  const Attended merged = combine_lse(outputs, lses);
  return {merged.output, merged.lse.detach()};
}

}  // namespace moga
