// The sampler's only view of a model: a velocity v(x, t) with x = (1 - t) x_0 + t ε and v = ε - x_0, t in [0, 1].
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace moga {

using Velocity = std::function<at::Tensor(const at::Tensor& x, double t)>;

}  // namespace moga
