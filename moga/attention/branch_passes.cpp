// See branch_passes.h.
#include "moga/attention/branch_passes.h"

#include <ATen/ATen.h>

#include <limits>
#include <utility>

#include "moga/attention/branch_mean.h"
#include "moga/attention/branch_union.h"
#include "moga/attention/rows.h"

namespace moga {
namespace {

using Gradients = std::array<at::Tensor, 4>;  // of q, k, v and the gate
constexpr double kInfinity = std::numeric_limits<double>::infinity();

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

Gradients mean_backward(const BranchCall& call, const BranchInputs& inputs, const AttentionRecord& record,
                        const at::Tensor& grad) {
  const auto& [x, gate] = inputs;
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
GroupedGradient union_branch(const BranchCall& call, const at::Tensor& gate, const AttentionRecord& record,
                             const at::Tensor& grad, size_t b) {
  const Rows& query = call.queries[b];
  GroupedGradient given = {
      gather_rows(grad, query).contiguous(), gather_rows(record.output, query), {}, record.branches[b].saved};
  if (call.single(gate)) {
    given.lse = record.branches[0].lse;
  } else {
    const bool gated = gate.defined() && b + 1 == call.groupings.size();
    given.lse = gather_rows(gated ? ungated_lse(record.lse, gate) : record.lse, query);
  }
  return given;
}

Gradients union_backward(const BranchCall& call, const BranchInputs& inputs, const AttentionRecord& record,
                         const at::Tensor& grad, bool gate_gradient) {
  const auto& [x, gate] = inputs;
  Gradients result;
  for (size_t b = 0; b < call.groupings.size(); ++b) {
    const auto parts =
        attend_groups_backward(call.backend, x, union_branch(call, gate, record, grad, b), call.groupings[b]);
    const std::array branch = {accumulate_rows(parts[0], call.queries[b], x.q.size(0)),
                               accumulate_rows(parts[1], call.keys[b], x.k.size(0)),
                               accumulate_rows(parts[2], call.keys[b], x.v.size(0))};
    for (size_t i = 0; i < branch.size(); ++i) result[i] = b == 0 ? branch[i] : result[i] + branch[i];
  }
  const GroupedAttention& gated = record.branches.back();
  if (gate.defined() && gate_gradient)
    result[3] =
        union_gate_gradient(grad, {gated.output, gated.lse}, {record.output, record.lse}).to(gate.scalar_type());
  return result;
}

}  // namespace

BranchCall::BranchCall(const Backend& backend, std::vector<Grouping> groupings, Combine combine)
    : backend(backend), groupings(std::move(groupings)), combine(combine) {
  for (const Grouping& grouping : this->groupings) {
    queries.push_back(grouping.query);
    keys.push_back(grouping.key);
  }
}

AttentionRecord run_branches(const BranchCall& call, const BranchInputs& inputs, bool keep_gated) {
  const auto& [x, gate] = inputs;
  const int64_t total = x.q.size(0);
  AttentionRecord record;
  for (const Grouping& grouping : call.groupings) {
    GroupedAttention branch = attend_groups(call.backend, x, grouping);
    if (!call.mean()) branch.output = scatter_rows(branch.output, grouping.query, total);
    if (!call.mean() && !call.single(gate)) branch.lse = scatter_rows(branch.lse, grouping.query, total, -kInfinity);
    record.branches.push_back(std::move(branch));
  }
  if (call.single(gate))
    record.output = std::exchange(record.branches[0].output, {});
  else if (!call.mean())
    merge(record, gate, keep_gated);
  return record;
}

Attended results_of(const BranchCall& call, const AttentionRecord& record, const BranchInputs& inputs) {
  const auto& [x, gate] = inputs;
  const int64_t total = x.q.size(0);
  if (call.single(gate))
    return {record.output, scatter_rows(record.branches[0].lse, call.queries[0], total, -kInfinity)};
  if (!call.mean()) return {record.output, record.lse};
  std::vector<at::Tensor> outputs;
  for (const GroupedAttention& branch : record.branches) outputs.push_back(branch.output);
  return {branch_mean(outputs, call.queries, gate, total), {}};
}

std::array<at::Tensor, 4> branches_backward(const BranchCall& call, const BranchInputs& inputs,
                                            const AttentionRecord& record, const at::Tensor& grad, bool gate_gradient) {
  return call.mean() ? mean_backward(call, inputs, record, grad)
                     : union_backward(call, inputs, record, grad, gate_gradient);
}

}  // namespace moga
