// The mean of several branches, each in its own group order, as one output in token order:
//
//   O = Σ_b γ_b O_b / B     dO_b = γ_b dO / B     dγ = Σ_hd dO ∘ O_b / B
//
// γ_b is the gate in the last branch and 1 in the others.
//
// On CUDA in bfloat16 each direction is one kernel that reads (writes) every branch where its group order has it, so no
// branch is brought to token order first. Elsewhere the same by plain operations. No autograd. Private to the folder.
#pragma once

#include "moga/attention/grouping.h"

namespace moga {

// outputs [n_b, H, D] → mean [total, H, D]. gate [total], or undefined. A row that a branch does not hold is zero
// there.
at::Tensor branch_mean(const std::vector<at::Tensor>& outputs, const std::vector<Rows>& rows, const at::Tensor& gate,
                       int64_t total);

// grad [total, H, D] → the gradients of branch_mean; `gated` is the last branch as it was given.
struct BranchMeanGradients {
  std::vector<at::Tensor> branches;  // [n_b, H, D] in group order
  at::Tensor gate;                   // [total]; undefined without a gate
};
BranchMeanGradients branch_mean_backward(const at::Tensor& grad, const at::Tensor& gated, const std::vector<Rows>& rows,
                                         const at::Tensor& gate);

// The same mean of outputs in token order [N, H, D], computed in float32 (float64) and rounded once. Plain operations,
// differentiable in everything.
at::Tensor plain_branch_mean(at::TensorList outputs, const at::Tensor& gate);

}  // namespace moga
