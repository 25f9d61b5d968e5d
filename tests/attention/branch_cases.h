// A small packed batch with cuts, its routed, window and frame branches, and visual attention run on it: for tests of
// everything between visual attention and the backends.
#pragma once

#include "moga/attention/visual_attention.h"
#include "tests/support/gradcheck.h"

namespace moga::test {

// 5 frames of 2×3 tokens in shots of 2 and 3 frames; then 2 frames of 2×3.
inline const Layout kBranchLayout{{{5, 2, 3, {2, 3}}, {2, 2, 3, {}}}};
inline constexpr int64_t kBranchTokens = 42, kBranchGroups = 3;

// Windows of 1×2 and 1×1 tokens in runs of up to 2 frames, with keys of 1 frame beyond a cut.
VisualAttentionConfig combined_config(Combine combine, Gate gate);

at::Tensor branch_random(at::IntArrayRef shape, uint64_t seed);  // float64

// q, k, v [N, H, D], x [N, C], router weight and bias, float64.
Tensors branch_inputs(int64_t heads = 2, int64_t size = 3, uint64_t draw = 0);

Routing branch_routing(const Tensors& in, Gate gate);
at::Tensor run_branches(const Tensors& in, const VisualAttentionConfig& config, AttentionMemory* memory = nullptr);

}  // namespace moga::test
