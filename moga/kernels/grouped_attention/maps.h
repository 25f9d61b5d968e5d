// Tensor maps for the copy engine. Rows of heads: boxes of `tile_rows` rows by 64 columns by `slabs` slabs of one head,
// with the 128-byte swizzle; in shared memory a box is [slabs][tile_rows][64]. Plain rows: see below.
#pragma once

#include <cuda.h>

#include "moga/kernels/grouped_attention.h"

namespace moga::kernels {

CUtensorMap head_rows_map(const HeadRows& rows, int64_t count, const GroupedAttentionShape& shape, int tile_rows,
                          int slabs);

// Rows [count, columns] of floats, one row per box; at most 256 columns, a multiple of 4.
CUtensorMap float_rows_map(const float* data, int64_t count, int columns);

}  // namespace moga::kernels
