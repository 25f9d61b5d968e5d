// Conversions between tensors and the arguments of our CUDA kernels: bfloat16 pointers of the kernels' type, and the
// error of a program that was built without the kernels. Callers have checked device, dtype and layout.
#pragma once

#include <ATen/core/Tensor.h>

#include "moga/core/check.h"
#include "moga/kernels/bfloat16.h"

namespace moga {

inline const kernels::Bfloat16* kernel_read(const at::Tensor& x) {
  return reinterpret_cast<const kernels::Bfloat16*>(x.const_data_ptr<at::BFloat16>());
}

// Null for an undefined tensor.
inline kernels::Bfloat16* kernel_write(at::Tensor& x) {
  return x.defined() ? reinterpret_cast<kernels::Bfloat16*>(x.mutable_data_ptr<at::BFloat16>()) : nullptr;
}

[[noreturn]] inline void kernels_not_compiled() { fail("this program was built without its CUDA kernels (MOGA_CUDA)"); }

}  // namespace moga
