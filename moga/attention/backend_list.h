// Which attention backends serve a device, for people who ask why one is or is not used.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace moga {

struct BackendState {
  std::string name, serves;  // "sm90", "our kernels for Hopper: …"
  bool usable = false;
  bool chosen = false;  // by "auto"
};

// For queries of this dtype, head size and device; in the order in which "auto" tries them, the reference last.
std::vector<BackendState> backend_states(c10::Device device, c10::ScalarType dtype, int64_t head_size);

}  // namespace moga
