// How the branches of visual attention (routed groups, windows, frames) become one output:
//
//   mean   O = Σ_b O_b / B, the routed branch scaled by its gate first (the paper)
//   lse    O = Σ_b e^{lse_b} O_b / Σ_b e^{lse_b}: one softmax over the union of the branches' keys, in which a key that
//          two branches hold counts twice. Where the union holds all keys, that is close to full attention.
//
// Comes after each branch's attention and before the output projection; which branches there are is visual_attention's.
#pragma once

#include "moga/attention/attend.h"

namespace moga {

// Branches [N, H, D] of one dtype → their mean [N, H, D], taken in float32 (float64) and rounded once. `gate` [N],
// where defined, scales the last branch. Plain operations.
at::Tensor combine_mean(at::TensorList branches, const at::Tensor& gate);

// The branches' merge by log-sum-exp: outputs [N, H, D] and lses [N, H] (-inf: no keys) of each → output in their dtype
// and lse of the union. Plain operations: differentiable in everything, lse included.
Attended combine_lse(at::TensorList outputs, at::TensorList lses);

// The mean of attend's outputs over the groupings, [Nq, H, D]; `gate` [Nq], where defined, scales the last. Gradients
// for q, k, v and gate. Throws what attend throws.
at::Tensor attend_mean(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       const std::vector<Grouping>& groupings, const at::Tensor& gate,
                       const std::string& backend = "auto");

// attend as one softmax over the union of a query's keys in all groupings. `gate` [Nq], positive, where defined, weighs
// each key of the last grouping: gate · e^s in place of e^s. Output and lse as attend's; gradients are exact for q, k,
// v and gate. Throws what attend throws.
Attended attend_union(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                      const std::vector<Grouping>& groupings, const at::Tensor& gate,
                      const std::string& backend = "auto");

}  // namespace moga
