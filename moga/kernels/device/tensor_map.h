// Maps of bf16 tensors for the copy engine (device/tma.cuh). The driver's encoder is looked up at run time, so that
// nothing links libcuda.
#pragma once

#include <cuda.h>

#include <array>
#include <cstdint>

#include "moga/kernels/bfloat16.h"

namespace moga::kernels {

// A tensor of five dimensions, the innermost first and contiguous, and the box that one copy takes.
struct TensorBoxes {
  const Bfloat16* data = nullptr;
  std::array<int64_t, 5> sizes = {};    // elements
  std::array<int64_t, 4> strides = {};  // elements, of the outer four; multiples of 8
  std::array<int32_t, 5> box = {};      // elements, at most 256 each
  CUtensorMapSwizzle swizzle = CU_TENSOR_MAP_SWIZZLE_NONE;
};
CUtensorMap tensor_map(const TensorBoxes& tensor);

}  // namespace moga::kernels
