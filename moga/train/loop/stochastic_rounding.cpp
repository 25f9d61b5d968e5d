// The 16 bits that bfloat16 drops plus 16 random bits: the carry rounds the magnitude up. See stochastic_rounding.h.
#include "moga/train/loop/stochastic_rounding.h"

#include <ATen/ATen.h>

namespace moga {

void round_to_bfloat16(at::Tensor& values, at::Generator random) {
  at::Tensor bits = values.view(at::kInt);
  bits.add_(at::randint(0, 1 << 16, bits.sizes(), random, bits.options())).bitwise_and_(-(1 << 16));
}

}  // namespace moga
