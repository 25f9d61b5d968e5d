// The passes of several branches (branches.h) without autograd:
//
//   forward    attend_groups for each branch; branch outputs → mean or union in token order
//   backward   gradient of the result → gradient of each branch; attend_groups_backward for each; sums over the
//   branches
//
// The backward reads q, k, v and the gate as given, and an AttentionRecord. With the mean, branch outputs are kept in
// group order, where their backward needs them. With the union, the backward of each branch needs only the combined
// output and lse, so of the branches' own outputs only the gated one is kept (branch_union.h). Two callers record these
// passes: the autograd function in branches.cpp and the operators of the Python package.
#pragma once

#include <array>

#include "moga/attention/attention_record.h"
#include "moga/attention/branches.h"
#include "moga/attention/group_attention.h"

namespace moga {

// One attention call: what it does, apart from its tensors.
struct BranchCall {
  BranchCall(const Backend& backend, std::vector<Grouping> groupings, Combine combine);
  bool mean() const { return combine == Combine::kMean; }
  // Whether this is attend: what its one branch returned is the result.
  bool single(const at::Tensor& gate) const { return !mean() && groupings.size() == 1 && !gate.defined(); }

  const Backend& backend;
  const std::vector<Grouping> groupings;
  const Combine combine;
  std::vector<Rows> queries, keys;
};

struct BranchInputs {
  Projections x;
  at::Tensor gate;  // undefined: none
};

// Runs every branch. keep_gated: the gate's gradient will be needed.
AttentionRecord run_branches(const BranchCall& call, const BranchInputs& inputs, bool keep_gated);

// The results of a call, in token order.
Attended results_of(const BranchCall& call, const AttentionRecord& record, const BranchInputs& inputs);

// Gradients of q, k, v and the gate (undefined without one) from that of the output, [Nq, H, D] in token order.
// gate_gradient: the gate's is wanted; for the union run_branches has kept what it needs.
std::array<at::Tensor, 4> branches_backward(const BranchCall& call, const BranchInputs& inputs,
                                            const AttentionRecord& record, const at::Tensor& grad, bool gate_gradient);

}  // namespace moga
