// What a call of attention keeps for its backward pass, and the same as a list of tensors, which the autograd graph
// stores.
#pragma once

#include "moga/attention/backend.h"

namespace moga {

// What the backward of a call (branches.h) needs besides q, k, v and the gate.
struct AttentionRecord {
  // One per branch. Mean, and attend: output and lse in group order. Union: only the gated branch's, in token order.
  // attend has no output here.
  std::vector<GroupedAttention> branches;
  at::Tensor output, lse;  // [N, H, D], [N, H] in token order: the union's; attend has no lse here
};

// Detached from the autograd graph; a tensor that is returned becomes part of it.
AttentionRecord detached(AttentionRecord record);

// Appends to `saved` how many tensors the backend saved for each branch, which unflatten needs.
std::vector<at::Tensor> flatten(const AttentionRecord& record, std::vector<size_t>& saved);
AttentionRecord unflatten(std::vector<at::Tensor>::const_iterator first, const std::vector<size_t>& saved);

}  // namespace moga
