// y = Σ_r x_r with a gradient, for terms of a loss that every rank computes from y in the same way (the balance loss).
//
//   dL/dx_r = dL/dy
//
// No exchange in the backward pass: L is one number that all ranks hold, so each knows dL/dy. Parameter gradients are
// then parts that sum over the ranks to the gradient of L, as those of the ranks' own tokens are.
#pragma once

#include "moga/parallel/process_group.h"

namespace moga {

at::Tensor all_sum(const ProcessGroup& group, const at::Tensor& x);

}  // namespace moga
