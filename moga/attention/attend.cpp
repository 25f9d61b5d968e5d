// attend: one branch without a gate.
#include "moga/attention/attend.h"

#include "moga/attention/branches.h"

namespace moga {

Attended attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Grouping& grouping,
                AttentionBackend backend, AttentionMemory* memory) {
  return attend_branches(q, k, v, {.groupings = {grouping}, .combine = Combine::kLse}, backend, memory);
}

}  // namespace moga
