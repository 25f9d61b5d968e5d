// Tensor maps for the copy engine (device/tma.cuh). The driver's encoder is looked up at run time, so nothing links
// libcuda.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <vector>

namespace moga::kernels {

// A tensor of up to five dimensions, innermost first and contiguous, and the box that one copy transfers. Elements
// outside the tensor are read as zeros.
struct TensorBoxes {
  const void* data = nullptr;    // 16-byte aligned
  std::vector<int64_t> sizes;    // elements, at least 1 each
  std::vector<int64_t> strides;  // elements, all dimensions but the innermost; multiples of 16 bytes
  std::vector<int64_t> box;      // elements, at most 256 each
  CUtensorMapSwizzle swizzle = CU_TENSOR_MAP_SWIZZLE_NONE;
  CUtensorMapDataType type = CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;  // or FLOAT32
};
CUtensorMap tensor_map(const TensorBoxes& tensor);

}  // namespace moga::kernels
