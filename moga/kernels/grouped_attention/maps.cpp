// Which devices the kernels run on, and maps of what they read. The driver's encoder is looked up at run time, so that
// nothing links libcuda.
#include "moga/kernels/grouped_attention/maps.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace moga::kernels {
namespace {

constexpr uint64_t kSlab = 64;  // columns
constexpr uint64_t kBytes = 2;  // of a bf16

decltype(&cuTensorMapEncodeTiled) look_up_encoder() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  constexpr unsigned kFirstVersion = 12000;
  const cudaError_t error =
      cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, kFirstVersion, cudaEnableDefault, &found);
  if (error != cudaSuccess || found != cudaDriverEntryPointSuccess)
    throw std::runtime_error("grouped attention: the CUDA driver has no cuTensorMapEncodeTiled");
  return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
}

decltype(&cuTensorMapEncodeTiled) encoder() {
  static const auto encode = look_up_encoder();
  return encode;
}

}  // namespace

bool grouped_attention_runs_on(int device) {
  int major = 0, minor = 0;
  return cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
         cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) == cudaSuccess && major == 9 &&
         minor == 0;
}

CUtensorMap head_rows_map(const HeadRows& rows, int64_t count, const GroupedAttentionShape& shape, int tile_rows,
                          int slabs) {
  const cuuint64_t sizes[4] = {kSlab, static_cast<cuuint64_t>(std::max<int64_t>(count, 1)),
                               static_cast<cuuint64_t>(shape.head_size) / kSlab, static_cast<cuuint64_t>(shape.heads)};
  const cuuint64_t strides[3] = {static_cast<cuuint64_t>(rows.stride) * kBytes, kSlab * kBytes,
                                 static_cast<cuuint64_t>(shape.head_size) * kBytes};
  const cuuint32_t box[4] = {static_cast<cuuint32_t>(kSlab), static_cast<cuuint32_t>(tile_rows),
                             static_cast<cuuint32_t>(slabs), 1};
  const cuuint32_t steps[4] = {1, 1, 1, 1};
  CUtensorMap map{};
  const CUresult result = encoder()(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 4, const_cast<Bfloat16*>(rows.data), sizes,
                                    strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                    CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS)
    throw std::runtime_error("grouped attention: no tensor map for " + std::to_string(count) + " rows of " +
                             std::to_string(shape.heads) + " x " + std::to_string(shape.head_size) + ", stride " +
                             std::to_string(rows.stride) + " (CUDA error " + std::to_string(result) + ")");
  return map;
}

CUtensorMap float_rows_map(const float* data, int64_t count, int columns) {
  const cuuint64_t sizes[2] = {static_cast<cuuint64_t>(columns), static_cast<cuuint64_t>(std::max<int64_t>(count, 1))};
  const cuuint64_t stride = static_cast<cuuint64_t>(columns) * sizeof(float);
  const cuuint32_t box[2] = {static_cast<cuuint32_t>(columns), 1}, steps[2] = {1, 1};
  CUtensorMap map{};
  const CUresult result = encoder()(&map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 2, const_cast<float*>(data), sizes, &stride,
                                    box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
                                    CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS)
    throw std::runtime_error("grouped attention: no tensor map for " + std::to_string(count) + " rows of " +
                             std::to_string(columns) + " floats (CUDA error " + std::to_string(result) + ")");
  return map;
}

}  // namespace moga::kernels
