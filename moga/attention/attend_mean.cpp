// The mean of several attentions as one function of q, k, v and the gate:
//
//   O = Σ_b γ_b O_b / B,  O_b = attend(q, k, v, grouping b),  γ = the gate in the last branch and 1 elsewhere
//   dO_b = γ_b dO / B    dγ = Σ_hd dO ∘ O_b / B    dq, dk, dv = Σ_b those of branch b
//
// As one function it keeps each branch's output in group order, where its backward wants it, and sums what the branches
// say about q, k and v once, rather than bringing each into token order and adding those.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include "moga/attention/backends.h"
#include "moga/attention/branch_rows.h"
#include "moga/attention/combine.h"
#include "moga/attention/rows.h"
#include "moga/core/check.h"

namespace moga {
namespace {

using Variables = torch::autograd::variable_list;

struct MeanCall : torch::CustomClassHolder {
  MeanCall(const Backend& backend, const std::vector<Grouping>& groupings) : backend(backend), groupings(groupings) {
    for (const Grouping& grouping : groupings) {
      queries.push_back(grouping.query);
      keys.push_back(grouping.key);
    }
  }
  const Backend& backend;
  const std::vector<Grouping> groupings;
  std::vector<Rows> queries, keys;
  std::vector<ptrdiff_t> begin;  // of each branch among the tensors kept: its output, lse and what its backend asks for
};

class AttendMean : public torch::autograd::Function<AttendMean> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, const std::optional<at::Tensor>& optional_gate, const Backend& backend,
                            const std::vector<Grouping>& groupings) {
    const at::Tensor gate = optional_gate.value_or(at::Tensor());
    const auto call = c10::make_intrusive<MeanCall>(backend, groupings);
    Variables kept = {q, k, v, gate};
    std::vector<at::Tensor> outputs;  // [n_b, H, D] in group order
    for (const Grouping& grouping : groupings) {
      const GroupedAttention grouped = backend.forward(gather_rows(q, grouping.query), gather_rows(k, grouping.key),
                                                       gather_rows(v, grouping.key), grouping);
      outputs.push_back(grouped.output);
      call->begin.push_back(static_cast<ptrdiff_t>(kept.size()));
      kept.insert(kept.end(), {grouped.output, grouped.lse});
      kept.insert(kept.end(), grouped.saved.begin(), grouped.saved.end());
    }
    call->begin.push_back(static_cast<ptrdiff_t>(kept.size()));
    context->save_for_backward(kept);
    context->saved_data["call"] = c10::IValue::make_capsule(call);
    return mean_of_branches(outputs, call->queries, gate, q.size(0));
  }

  static Variables backward(torch::autograd::AutogradContext* context, const Variables& grads) {
    const Variables kept = context->get_saved_variables();
    const auto call = c10::static_intrusive_pointer_cast<MeanCall>(context->saved_data["call"].toCapsule());
    const at::Tensor &q = kept[0], &k = kept[1], &v = kept[2], &gate = kept[3];
    const size_t branches = call->groupings.size();
    MeanGradients mean =
        mean_of_branches_backward(grads[0].contiguous(), kept[call->begin[branches - 1]], call->queries, gate);
    std::vector<at::Tensor> dq(branches), dk(branches), dv(branches);  // [n_b, H, D] in group order
    for (size_t b = 0; b < branches; ++b) {
      const Rows &query = call->queries[b], &key = call->keys[b];
      const auto own = kept.begin() + call->begin[b], end = kept.begin() + call->begin[b + 1];
      const auto gradients =
          call->backend.backward(mean.branches[b], gather_rows(q, query), gather_rows(k, key), gather_rows(v, key),
                                 own[0], own[1], {own + 2, end}, call->groupings[b]);
      dq[b] = gradients[0], dk[b] = gradients[1], dv[b] = gradients[2];
      mean.branches[b].reset();  // as wide as q: what the next branch works in
    }
    const at::Tensor dgate = mean.gate.defined() ? mean.gate.to(gate.scalar_type()) : at::Tensor();
    return {sum_of_branches(dq, call->queries, q.size(0)),
            sum_of_branches(dk, call->keys, k.size(0)),
            sum_of_branches(dv, call->keys, v.size(0)),
            dgate,
            {},
            {}};
  }
};

}  // namespace

at::Tensor attend_mean(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       const std::vector<Grouping>& groupings, const at::Tensor& gate, const std::string& backend) {
  check(!groupings.empty(), "attend: the mean over no groupings");
  check_attend(q, k, v, groupings, gate);
  if (const Backend* chosen = choose_backend(q, backend)) {
    const auto optional_gate = gate.defined() ? std::optional(gate) : std::nullopt;
    return AttendMean::apply(q, k, v, optional_gate, *chosen, groupings);
  }
  std::vector<at::Tensor> outputs;
  for (const Grouping& grouping : groupings) outputs.push_back(attend_reference(q, k, v, grouping).output);
  return combine_mean(outputs, gate);
}

}  // namespace moga
