// The part of cuBLASLt that we use: functions looked up in the library that the program has already loaded with
// PyTorch, so that it starts without it; one handle per device; and owners of its descriptors.
#pragma once

#include <cublasLt.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace moga::kernels {

struct CublasLt {
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmulDescCreate) desc_create;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
};

const CublasLt& cublas_lt();          // throws if the library is missing
cublasLtHandle_t cublas_lt_handle();  // for the current device

inline void check_cublas(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw std::runtime_error(std::string("cuBLASLt, ") + what + ": status " + std::to_string(status));
}

// A descriptor that is destroyed with its owner.
template <class T>
class LtOwner {
 public:
  using Destroy = cublasStatus_t (*)(T);
  LtOwner(T value, Destroy destroy) : value_(value), destroy_(destroy) {}
  LtOwner(const LtOwner&) = delete;
  LtOwner& operator=(const LtOwner&) = delete;
  ~LtOwner() { destroy_(value_); }
  T get() const { return value_; }

 private:
  T value_;
  Destroy destroy_;
};

}  // namespace moga::kernels
