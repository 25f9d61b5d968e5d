// See maps.h.
#include "moga/kernels/grouped_attention/maps.h"

#include <algorithm>

#include "moga/kernels/device/tensor_map.h"

namespace moga::kernels {

CUtensorMap head_rows_map(const HeadRows& rows, int64_t count, const GroupedAttentionShape& shape, int tile_rows,
                          int slabs) {
  constexpr int64_t kSlab = 64;  // columns
  return tensor_map({.data = rows.data,
                     .sizes = {kSlab, std::max<int64_t>(count, 1), shape.head_size / kSlab, shape.heads},
                     .strides = {rows.stride, kSlab, shape.head_size},
                     .box = {kSlab, tile_rows, slabs, 1},
                     .swizzle = CU_TENSOR_MAP_SWIZZLE_128B});
}

CUtensorMap float_rows_map(const float* data, int64_t count, int columns) {
  return tensor_map({.data = data,
                     .sizes = {columns, std::max<int64_t>(count, 1)},
                     .strides = {columns},
                     .box = {columns, 1},
                     .type = CU_TENSOR_MAP_DATA_TYPE_FLOAT32});
}

}  // namespace moga::kernels
