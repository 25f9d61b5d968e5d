// The element type of the kernels' tensors as the host sees it: 16 bits that only device code interprets.
#pragma once

#include <cstdint>

namespace moga::kernels {

struct Bfloat16 {
  uint16_t bits;
};

}  // namespace moga::kernels
