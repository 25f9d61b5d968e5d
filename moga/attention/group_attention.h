// The core of attend: rows of q, k, v → group order → backend, forward and backward, for one grouping.
//
// Results stay in group order; bringing them to token order is left to the caller, who can often combine several
// branches in the same pass. No autograd. Private to the folder.
#pragma once

#include "moga/attention/backend.h"

namespace moga {

struct Projections {
  at::Tensor q, k, v;  // [Nq, H, D], [Nk, H, D] twice, in token order
};

GroupedAttention attend_groups(const Backend& backend, const Projections& x, const Grouping& grouping);

// What a backend's backward needs besides q, k, v, in group order.
struct GroupedGradient {
  at::Tensor grad, output;  // [nq, H, D]
  at::Tensor lse;           // [nq, H]
  std::vector<at::Tensor> saved;
};
// Gradients of q, k, v: rows in group order, [nq, H, D] and twice [nk, H, D].
std::array<at::Tensor, 3> attend_groups_backward(const Backend& backend, const Projections& x,
                                                 const GroupedGradient& given, const Grouping& grouping);

}  // namespace moga
