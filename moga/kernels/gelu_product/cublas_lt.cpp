// See cublas_lt.h.
#include "moga/kernels/gelu_product/cublas_lt.h"

#include <cuda_runtime.h>
#include <dlfcn.h>

#include <map>
#include <mutex>

namespace moga::kernels {
namespace {

template <class Function>
void look_up(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (!function) throw std::runtime_error(std::string("cuBLASLt has no ") + name);
}

CublasLt load() {
  const std::string name = "libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR);
  void* library = dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (!library) throw std::runtime_error("cannot load " + name + ", which comes with PyTorch for CUDA: " + dlerror());
  CublasLt lt;
  look_up(library, "cublasLtCreate", lt.create);
  look_up(library, "cublasLtMatmul", lt.matmul);
  look_up(library, "cublasLtMatmulAlgoGetHeuristic", lt.heuristic);
  look_up(library, "cublasLtMatmulDescCreate", lt.desc_create);
  look_up(library, "cublasLtMatmulDescDestroy", lt.desc_destroy);
  look_up(library, "cublasLtMatmulDescSetAttribute", lt.desc_set);
  look_up(library, "cublasLtMatrixLayoutCreate", lt.layout_create);
  look_up(library, "cublasLtMatrixLayoutDestroy", lt.layout_destroy);
  look_up(library, "cublasLtMatmulPreferenceCreate", lt.preference_create);
  look_up(library, "cublasLtMatmulPreferenceDestroy", lt.preference_destroy);
  look_up(library, "cublasLtMatmulPreferenceSetAttribute", lt.preference_set);
  return lt;
}

}  // namespace

const CublasLt& cublas_lt() {
  static const CublasLt lt = load();
  return lt;
}

cublasLtHandle_t cublas_lt_handle() {
  static std::mutex mutex;
  static std::map<int, cublasLtHandle_t> handles;  // never destroyed, like PyTorch's
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess) throw std::runtime_error("cuBLASLt: no current device");
  const std::lock_guard lock(mutex);
  cublasLtHandle_t& handle = handles[device];
  if (!handle) check_cublas(cublas_lt().create(&handle), "handle");
  return handle;
}

}  // namespace moga::kernels
