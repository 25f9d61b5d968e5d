// Launching kernels: turns CUDA errors into exceptions, says what a device can run, and launches persistent grids.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace moga::kernels {

inline void check_cuda(cudaError_t error, const char* what) {
  if (error != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

inline void check_launch(const char* kernel) { check_cuda(cudaGetLastError(), kernel); }

// Compute capability 9.0, which has the warpgroup products of device/wgmma.cuh.
inline bool is_hopper(int device) {
  int major = 0, minor = 0;
  return cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
         cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) == cudaSuccess && major == 9 &&
         minor == 0;
}

// Launches one CTA per multiprocessor, each with `shared_bytes` of dynamic shared memory.
template <class... Parameters>
void launch_persistent(void (*kernel)(Parameters...), int threads, size_t shared_bytes, cudaStream_t stream,
                       const Parameters&... parameters) {
  check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
             "shared memory of a kernel");
  int device = 0, multiprocessors = 0;
  check_cuda(cudaGetDevice(&device), "device");
  check_cuda(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device), "device");
  kernel<<<multiprocessors, threads, shared_bytes, stream>>>(parameters...);
  check_launch("kernel launch");
}

}  // namespace moga::kernels
