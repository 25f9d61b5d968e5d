// One softmax over the union of several branches' keys, merged from the branches' own outputs and log-sum-exps:
//
//   P_j = γ_b e^{s_j} / Σ_b γ_b e^{lse_b} for key j of branch b     LSE = log Σ_b γ_b e^{lse_b}
//   O = Σ_b γ_b e^{lse_b - LSE} O_b                                 γ = the gate in the last branch, 1 in the others
//
// The backward pass of a branch is that of plain attention, with LSE - log γ_b in place of its lse and O in place of
// its output:
//
//   dS = P ∘ (dO·v_j - dO·O)     dγ = Σ_h e^{lse_b - LSE} dO·(O_b - O)
//
// so no gradient passes through a branch's lse. Rows are in token order. Private to the folder.
#pragma once

#include "moga/attention/attend_call.h"

namespace moga {

// outputs [N, H, D] and lses [N, H] (-inf: no keys) of each branch → output in their dtype and lse of the union. Plain
// operations, differentiable in everything, lse included.
Attended branch_union(at::TensorList outputs, at::TensorList lses);

// lse ± log γ, the gate being [N] and lse [N, H].
at::Tensor gated_lse(const at::Tensor& lse, const at::Tensor& gate);
at::Tensor ungated_lse(const at::Tensor& lse, const at::Tensor& gate);

// dγ [N] from grad [N, H, D], the gated branch as its backend returned it and the union. In the dtype of lse.
at::Tensor union_gate_gradient(const at::Tensor& grad, const Attended& gated, const Attended& merged);

}  // namespace moga
