// Wan's 3D rotary embedding: the D/2 adjacent channel pairs of a head are complex numbers, turned by
// position · 10000^(−2i/d). D splits into d = (D − 4⌊D/6⌋, 2⌊D/6⌋, 2⌊D/6⌋) over (frame, row, column); frames count
// on through the shots of a video and start anew with each video. Applied to q and k before attention.
#pragma once

#include <ATen/core/Tensor.h>

#include "moga/attention/layout.h"

namespace moga {

// Turns cos + i sin of every token: complex64 [N, D/2] on `device` (complex128 for float64). Made once a layout,
// shared by all blocks.
at::Tensor rotary_table(const Layout& layout, int64_t head_dim, at::Device device, at::ScalarType dtype = at::kFloat);

// x [N, H, D] turned by table [N, D/2], computed in float32 → [N, H, D] in x's dtype.
at::Tensor rotate(const at::Tensor& x, const at::Tensor& table);

}  // namespace moga
