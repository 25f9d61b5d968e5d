// Rows of several branches at once, each in the group order of its own Rows: what lies between the branches' backends
// and what they share. On CUDA in bfloat16 each function is one kernel that finds rows where they lie, so that no
// branch is brought into a common order first; elsewhere they are the plain operations of rows.h. Private to the
// folder.
#pragma once

#include "moga/attention/grouping.h"

namespace moga {

// Branch outputs [n_b, H, D] → the mean of all [total, H, D] in token order (combine.h); gate [total], where defined,
// scales the last. A row that a branch does not hold is zero there.
at::Tensor mean_of_branches(const std::vector<at::Tensor>& branches, const std::vector<Rows>& rows,
                            const at::Tensor& gate, int64_t total);

// dy [total, H, D] → the gradients of mean_of_branches; `gated` is the last branch as it was given.
struct MeanGradients {
  std::vector<at::Tensor> branches;  // [n_b, H, D] in group order
  at::Tensor gate;                   // [total]; undefined without a gate
};
MeanGradients mean_of_branches_backward(const at::Tensor& dy, const at::Tensor& gated, const std::vector<Rows>& rows,
                                        const at::Tensor& gate);

// parts [n_b, H, D] → their sum [total, H, D] in token order: the gradient of what all branches gathered from.
at::Tensor sum_of_branches(const std::vector<at::Tensor>& parts, const std::vector<Rows>& rows, int64_t total);

}  // namespace moga
