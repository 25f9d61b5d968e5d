// Attention over several groupings of the same tokens (routed groups, windows, frames) with one combined output:
//
//   mean   O = Σ_b γ_b O_b / B                     γ = the gate in the last branch, 1 in the others (the paper)
//   lse    O = Σ_b γ_b e^{lse_b} O_b / Σ_b γ_b e^{lse_b}: one softmax over the union of the branches' keys, in which a
//          key of two branches counts twice. Where the union holds all keys this is close to full attention.
//
// One autograd function runs every attention of the model; attend is one branch without a gate. It sits between
// visual attention, which selects the branches, and group_attention.h, which runs a backend for each.
#pragma once

#include "moga/attention/attend_call.h"
#include "moga/attention/backends.h"

namespace moga {

class AttentionMemory;

enum class Combine { kMean, kLse };
template <>
inline constexpr auto kChoices<Combine> = std::array{
    Choice{Combine::kMean, "mean", "the mean of the branches, as in the paper"},
    Choice{Combine::kLse, "lse", "one softmax over the union of the branches' keys"},
};

struct Branches {
  std::vector<Grouping> groupings;
  Combine combine = Combine::kMean;
  at::Tensor gate = {};  // [Nq], of the last branch; undefined: 1. With kLse it must be positive.
};

// q [Nq, H, D], k, v [Nk, H, D] → output [Nq, H, D] and, with kLse, the union's lse [Nq, H] (undefined with kMean).
// Gradients for q, k, v and the gate. A query row that a branch does not hold counts as zero there. Throws what attend
// throws.
//
// `memory` lets a block be recomputed without running attention's forward pass again: see attention_memory.h.
Attended attend_branches(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Branches& branches,
                         AttentionBackend backend = AttentionBackend::kAuto, AttentionMemory* memory = nullptr);

}  // namespace moga
