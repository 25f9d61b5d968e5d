// Gathers rows into group order and calls the backend. The backward gathers again instead of keeping copies.
#include "moga/attention/group_attention.h"

#include "moga/attention/rows.h"

namespace moga {

GroupedAttention attend_groups(const Backend& backend, const Projections& x, const Grouping& grouping) {
  return backend.forward(gather_rows(x.q, grouping.query), gather_rows(x.k, grouping.key),
                         gather_rows(x.v, grouping.key), grouping);
}

std::array<at::Tensor, 3> attend_groups_backward(const Backend& backend, const Projections& x,
                                                 const GroupedGradient& given, const Grouping& grouping) {
  return backend.backward(given.grad, gather_rows(x.q, grouping.query), gather_rows(x.k, grouping.key),
                          gather_rows(x.v, grouping.key), given.output, given.lse, given.saved, grouping);
}

}  // namespace moga
