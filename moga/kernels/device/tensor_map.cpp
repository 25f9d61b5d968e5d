// See tensor_map.h.
#include "moga/kernels/device/tensor_map.h"

#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>

namespace moga::kernels {
namespace {

decltype(&cuTensorMapEncodeTiled) encoder() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  constexpr unsigned kFirstVersion = 12000;
  const cudaError_t error =
      cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, kFirstVersion, cudaEnableDefault, &found);
  if (error != cudaSuccess || found != cudaDriverEntryPointSuccess)
    throw std::runtime_error("tensor map: the CUDA driver has no cuTensorMapEncodeTiled");
  return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
}

std::string described(const std::vector<int64_t>& numbers) {
  std::string text;
  for (const int64_t number : numbers) text += (text.empty() ? "" : " x ") + std::to_string(number);
  return text;
}

}  // namespace

CUtensorMap tensor_map(const TensorBoxes& tensor) {
  static const auto encode = encoder();
  const int64_t element = tensor.type == CU_TENSOR_MAP_DATA_TYPE_FLOAT32 ? 4 : 2;  // bytes
  const std::vector<cuuint64_t> sizes(tensor.sizes.begin(), tensor.sizes.end());
  const std::vector<cuuint32_t> box(tensor.box.begin(), tensor.box.end()), steps(sizes.size(), 1);
  std::vector<cuuint64_t> strides;
  for (const int64_t stride : tensor.strides) strides.push_back(static_cast<cuuint64_t>(stride * element));
  CUtensorMap map{};
  const CUresult result =
      encode(&map, tensor.type, static_cast<cuuint32_t>(sizes.size()), const_cast<void*>(tensor.data), sizes.data(),
             strides.data(), box.data(), steps.data(), CU_TENSOR_MAP_INTERLEAVE_NONE, tensor.swizzle,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS)
    throw std::runtime_error("tensor map: cannot encode sizes " + described(tensor.sizes) + ", strides " +
                             described(tensor.strides) + " (CUDA error " + std::to_string(result) + ")");
  return map;
}

}  // namespace moga::kernels
