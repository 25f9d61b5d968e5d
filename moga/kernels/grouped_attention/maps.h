// Tensor maps of rows of heads for the copy engine: boxes of `tile_rows` rows by 64 columns by `slabs` slabs of one
// head, under the 128-byte swizzle. In shared memory a box is [slabs][tile_rows][64]. And of plain rows.
#pragma once

#include <cuda.h>

#include "moga/kernels/grouped_attention.h"

namespace moga::kernels {

CUtensorMap head_rows_map(const HeadRows& rows, int64_t count, const GroupedAttentionShape& shape, int tile_rows,
                          int slabs);

// Rows [count, columns] of floats, a row a box; at most 256 columns, a multiple of 4.
CUtensorMap float_rows_map(const float* data, int64_t count, int columns);

}  // namespace moga::kernels
