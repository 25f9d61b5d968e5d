// The autograd function of attention, for any number of branches:
//
//   forward    attend_groups for each branch; branch outputs → mean or union in token order
//   backward   grad → gradient of each branch; attend_groups_backward for each; sums over the branches
//
// Kept for the backward: q, k, v and the gate as given, and an AttentionRecord. With the mean, branch outputs are kept
// in group order, where their backward needs them. With the union, the backward of each branch needs only the combined
// output and lse, so of the branches' own outputs only the gated one is kept (branch_union.h).
#include "moga/attention/branches.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <limits>
#include <utility>

#include "moga/attention/attend_reference.h"
#include "moga/attention/attention_memory.h"
#include "moga/attention/attention_record.h"
#include "moga/attention/branch_mean.h"
#include "moga/attention/branch_union.h"
#include "moga/attention/group_attention.h"
#include "moga/attention/rows.h"
#include "moga/core/check.h"

namespace moga {
namespace {

using Variables = torch::autograd::variable_list;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr size_t kArguments = 6;  // of the autograd function

struct Call : torch::CustomClassHolder {
  Call(const Backend& backend, const Branches& branches)
      : backend(backend), groupings(branches.groupings), combine(branches.combine) {
    for (const Grouping& grouping : groupings) {
      queries.push_back(grouping.query);
      keys.push_back(grouping.key);
    }
  }
  bool mean() const { return combine == Combine::kMean; }

  const Backend& backend;
  const std::vector<Grouping> groupings;
  const Combine combine;
  std::vector<Rows> queries, keys;
  std::vector<size_t> saved;  // tensors that the backend saved for each branch
};
using CallPointer = c10::intrusive_ptr<Call>;

// Whether this is attend: what its one branch returned is the result.
bool single(const Call& call, const at::Tensor& gate) {
  return !call.mean() && call.groupings.size() == 1 && !gate.defined();
}

// Merges branches in token order; of their own results only what the gate's gradient needs is kept.
void merge(AttentionRecord& record, const at::Tensor& gate, bool keep_gated) {
  std::vector<at::Tensor> outputs, lses;
  for (GroupedAttention& branch : record.branches) {
    outputs.push_back(std::exchange(branch.output, {}));
    lses.push_back(std::exchange(branch.lse, {}));
  }
  if (gate.defined()) {
    if (keep_gated) record.branches.back().output = outputs.back(), record.branches.back().lse = lses.back();
    lses.back() = gated_lse(lses.back(), gate);
  }
  const Attended merged = branch_union(outputs, lses);
  record.output = merged.output;
  record.lse = merged.lse;
}

// Runs every branch. keep_gated: the gate's gradient will be needed.
AttentionRecord run_branches(const Call& call, const Projections& x, const at::Tensor& gate, bool keep_gated) {
  const int64_t total = x.q.size(0);
  AttentionRecord record;
  for (const Grouping& grouping : call.groupings) {
    GroupedAttention branch = attend_groups(call.backend, x, grouping);
    if (!call.mean()) branch.output = scatter_rows(branch.output, grouping.query, total);
    if (!call.mean() && !single(call, gate)) branch.lse = scatter_rows(branch.lse, grouping.query, total, -kInfinity);
    record.branches.push_back(std::move(branch));
  }
  if (single(call, gate))
    record.output = std::exchange(record.branches[0].output, {});
  else if (!call.mean())
    merge(record, gate, keep_gated);
  return record;
}

// The results of a call, in token order.
Attended results_of(const Call& call, const AttentionRecord& record, const at::Tensor& gate, int64_t total) {
  if (single(call, gate))
    return {record.output, scatter_rows(record.branches[0].lse, call.queries[0], total, -kInfinity)};
  if (!call.mean()) return {record.output, record.lse};
  std::vector<at::Tensor> outputs;
  for (const GroupedAttention& branch : record.branches) outputs.push_back(branch.output);
  return {branch_mean(outputs, call.queries, gate, total), {}};
}

// Everything that a backward pass reads.
struct Kept {
  Projections x;
  at::Tensor gate;
  AttentionRecord record;
};

Variables mean_backward(const Call& call, const Kept& kept, const at::Tensor& grad) {
  const auto& [x, gate, record] = kept;
  const size_t branches = call.groupings.size();
  BranchMeanGradients mean = branch_mean_backward(grad.contiguous(), record.branches.back().output, call.queries, gate);
  std::vector<at::Tensor> dq(branches), dk(branches), dv(branches);  // [n_b, H, D] in group order
  for (size_t b = 0; b < branches; ++b) {
    const GroupedAttention& own = record.branches[b];
    const auto parts =
        attend_groups_backward(call.backend, x, {mean.branches[b], own.output, own.lse, own.saved}, call.groupings[b]);
    dq[b] = parts[0], dk[b] = parts[1], dv[b] = parts[2];
    mean.branches[b].reset();  // as large as q: room for the next branch
  }
  return {sum_rows(dq, call.queries, x.q.size(0)), sum_rows(dk, call.keys, x.k.size(0)),
          sum_rows(dv, call.keys, x.v.size(0)), mean.gate.defined() ? mean.gate.to(gate.scalar_type()) : at::Tensor()};
}

// The union's softmax as branch b sees it, in group order.
GroupedGradient union_branch(const Call& call, const Kept& kept, const at::Tensor& grad, size_t b) {
  const Rows& query = call.queries[b];
  const AttentionRecord& record = kept.record;
  GroupedGradient given = {
      gather_rows(grad, query).contiguous(), gather_rows(record.output, query), {}, record.branches[b].saved};
  if (single(call, kept.gate)) {
    given.lse = record.branches[0].lse;
  } else {
    const bool gated = kept.gate.defined() && b + 1 == call.groupings.size();
    given.lse = gather_rows(gated ? ungated_lse(record.lse, kept.gate) : record.lse, query);
  }
  return given;
}

Variables union_backward(const Call& call, const Kept& kept, const at::Tensor& grad) {
  const auto& [x, gate, record] = kept;
  Variables result(4);
  for (size_t b = 0; b < call.groupings.size(); ++b) {
    const auto parts = attend_groups_backward(call.backend, x, union_branch(call, kept, grad, b), call.groupings[b]);
    const Variables branch = {accumulate_rows(parts[0], call.queries[b], x.q.size(0)),
                              accumulate_rows(parts[1], call.keys[b], x.k.size(0)),
                              accumulate_rows(parts[2], call.keys[b], x.v.size(0))};
    for (size_t i = 0; i < branch.size(); ++i) result[i] = b == 0 ? branch[i] : result[i] + branch[i];
  }
  const GroupedAttention& gated = record.branches.back();
  if (gate.defined() && gate.requires_grad())
    result[3] =
        union_gate_gradient(grad, {gated.output, gated.lse}, {record.output, record.lse}).to(gate.scalar_type());
  return result;
}

class BranchesFunction : public torch::autograd::Function<BranchesFunction> {
 public:
  static Variables forward(torch::autograd::AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                           const at::Tensor& v, const std::optional<at::Tensor>& optional_gate, const CallPointer& call,
                           AttentionMemory* memory) {
    const at::Tensor gate = optional_gate.value_or(at::Tensor());
    const bool recording = memory && !memory->replaying(), replaying = memory && memory->replaying();
    const bool keep_gated = gate.defined() && (recording || gate.requires_grad());
    const AttentionRecord record =
        replaying ? memory->take(call->groupings.size(), q) : run_branches(*call, {q, k, v}, gate, keep_gated);
    const Attended results = results_of(*call, record, gate, q.size(0));
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
    const Kept kept = {{tensors[0], tensors[1], tensors[2]}, tensors[3], unflatten(tensors.begin() + 4, call->saved)};
    Variables result = call->mean() ? mean_backward(*call, kept, grads[0]) : union_backward(*call, kept, grads[0]);
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
  const Variables results = BranchesFunction::apply(q, k, v, gate.defined() ? std::optional(gate) : std::nullopt,
                                                    c10::make_intrusive<Call>(*chosen, branches), memory);
  return {results[0], results.size() > 1 ? results[1] : at::Tensor()};
}

}  // namespace moga
