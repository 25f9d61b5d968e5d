// The oracle of all backends: softmax(q kᵀ / √D) v, group by group, by plain differentiable operations in the dtype of
// q on any device. It shares no code with the other backends and may synchronise, as it reads offsets on the host.
// Private to the folder.
#pragma once

#include "moga/attention/attend_call.h"

namespace moga {

// As attend, but lse carries a gradient too.
Attended attend_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Grouping& grouping);

}  // namespace moga
