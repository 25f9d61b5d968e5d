// The autograd function of attention, for any number of branches: what it keeps between the passes of branch_passes.h,
// and the reference, which autograd differentiates itself.
#include "moga/attention/branches.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include "moga/attention/attend_reference.h"
#include "moga/attention/attention_memory.h"
#include "moga/attention/attention_record.h"
#include "moga/attention/branch_mean.h"
#include "moga/attention/branch_passes.h"
#include "moga/attention/branch_union.h"
#include "moga/core/check.h"

namespace moga {
namespace {

using Variables = torch::autograd::variable_list;
constexpr size_t kArguments = 6;  // of the autograd function

// What the autograd graph keeps of a call besides tensors.
struct Call : torch::CustomClassHolder, BranchCall {
  using BranchCall::BranchCall;
  std::vector<size_t> saved;  // tensors that the backend saved for each branch
};
using CallPointer = c10::intrusive_ptr<Call>;

class BranchesFunction : public torch::autograd::Function<BranchesFunction> {
 public:
  static Variables forward(torch::autograd::AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                           const at::Tensor& v, const std::optional<at::Tensor>& optional_gate, const CallPointer& call,
                           AttentionMemory* memory) {
    const at::Tensor gate = optional_gate.value_or(at::Tensor());
    const bool recording = memory && !memory->replaying(), replaying = memory && memory->replaying();
    const bool keep_gated = gate.defined() && (recording || gate.requires_grad());
    const BranchInputs inputs = {{q, k, v}, gate};
    const AttentionRecord record =
        replaying ? memory->take(call->groupings.size(), q) : run_branches(*call, inputs, keep_gated);
    const Attended results = results_of(*call, record, inputs);
    if (recording) memory->record(detached(record));
    Variables kept = {q, k, v, gate};
    for (at::Tensor& tensor : flatten(record, call->saved)) kept.push_back(std::move(tensor));
    context->save_for_backward(kept);
    context->saved_data["call"] = c10::IValue::make_capsule(call);
    context->set_materialize_grads(false);
    if (!results.lse.defined()) return {results.output};
    context->mark_non_differentiable({results.lse});
    return {results.output, results.lse};
  }

  static Variables backward(torch::autograd::AutogradContext* context, const Variables& grads) {
    if (!grads[0].defined()) return Variables(kArguments);
    const Variables tensors = context->get_saved_variables();
    const auto call = c10::static_intrusive_pointer_cast<Call>(context->saved_data["call"].toCapsule());
    const BranchInputs inputs = {{tensors[0], tensors[1], tensors[2]}, tensors[3]};
    const AttentionRecord record = unflatten(tensors.begin() + 4, call->saved);
    const bool gate_gradient = inputs.gate.defined() && inputs.gate.requires_grad();
    const auto gradients = branches_backward(*call, inputs, record, grads[0], gate_gradient);
    Variables result(gradients.begin(), gradients.end());
    result.resize(kArguments);
    return result;
  }
};

Attended reference_branches(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Branches& branches) {
  std::vector<at::Tensor> outputs, lses;
  for (const Grouping& grouping : branches.groupings) {
    const Attended branch = attend_reference(q, k, v, grouping);
    outputs.push_back(branch.output);
    lses.push_back(branch.lse);
  }
  if (branches.combine == Combine::kMean) return {plain_branch_mean(outputs, branches.gate), {}};
  if (outputs.size() == 1 && !branches.gate.defined()) return {outputs[0], lses[0].detach()};
  if (branches.gate.defined()) lses.back() = gated_lse(lses.back(), branches.gate);
  const Attended merged = branch_union(outputs, lses);
  return {merged.output, merged.lse.detach()};
}

}  // namespace

Attended attend_branches(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Branches& branches,
                         AttentionBackend backend, AttentionMemory* memory) {
  const at::Tensor& gate = branches.gate;
  check(!branches.groupings.empty(), "attend: no groupings");
  for (const Grouping& grouping : branches.groupings) check_attend(q, k, v, grouping);
  check(!gate.defined() || gate.sizes() == at::IntArrayRef{q.size(0)}, "attend: the gate is ", gate.sizes(),
        ", expected [", q.size(0), "]");
  const Backend* chosen = choose_backend(q, backend);
  if (!chosen) return reference_branches(q, k, v, branches);
  const Variables results =
      BranchesFunction::apply(q, k, v, gate.defined() ? std::optional(gate) : std::nullopt,
                              c10::make_intrusive<Call>(*chosen, branches.groupings, branches.combine), memory);
  return {results[0], results.size() > 1 ? results[1] : at::Tensor()};
}

}  // namespace moga
