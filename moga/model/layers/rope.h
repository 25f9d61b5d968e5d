// Wan's 3D rotary embedding: each head's D/2 adjacent channel pairs are complex numbers, and pair i is rotated by the
// angle position · 10000^(−2i/d).
//
// D splits into d = (D − 4⌊D/6⌋, 2⌊D/6⌋, 2⌊D/6⌋) over (frame, row, column). Frame positions continue through the shots
// of a video and start at 0 in each video. It is applied to q and k before attention (qk_norm.h).
#pragma once

#include <ATen/core/Tensor.h>

#include "moga/attention/layout.h"

namespace moga {

// Rotations cos + i sin of every token: complex64 [N, D/2] on `device` (complex128 for float64). Computed once per
// layout and shared by all blocks.
at::Tensor rotary_table(const Layout& layout, int64_t head_dim, at::Device device, at::ScalarType dtype = at::kFloat);

// x [N, H, D] rotated by table [N, D/2], computed in float32 → [N, H, D] in x's dtype.
at::Tensor rotate(const at::Tensor& x, const at::Tensor& table);

}  // namespace moga
