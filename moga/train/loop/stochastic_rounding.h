// Stochastic rounding: x becomes one of its two neighbours in bfloat16, the nearer one more often, so that the expected
// value is x. Updates far below the spacing of bfloat16 then add up instead of vanishing. A value that bfloat16 can
// represent stays as it is.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

namespace moga {

// Rounds finite float32 values in place to values of bfloat16. `random` lives on their device.
void round_to_bfloat16(at::Tensor& values, at::Generator random);

}  // namespace moga
