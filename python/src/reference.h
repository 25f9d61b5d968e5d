// The reference backend inside an operator, where autograd is switched off: it has no backward pass of its own, so its
// forward is run again with autograd on, and differentiated.
#pragma once

#include <array>

#include "moga/attention/branch_passes.h"

namespace moga::python {

Attended reference_forward(const BranchInputs& inputs, const std::vector<Grouping>& groupings, Combine combine);

// Gradients of q, k, v and the gate (undefined without one) from that of the output.
std::array<at::Tensor, 4> reference_backward(const BranchInputs& inputs, const std::vector<Grouping>& groupings,
                                             Combine combine, const at::Tensor& grad);

}  // namespace moga::python
