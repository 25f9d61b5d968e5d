// The sampler's only view of a model: a velocity v(x, t) with x = (1 - t) x_0 + t ε and v = ε - x_0, t in [0, 1].
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace moga {

// One evaluation of the schedule.
struct SamplerStep {
  int64_t number = 0;           // from 0
  double time = 1;              // t
  double timestep = 1000;       // what the model gets as t
  bool full_attention = false;  // one of SamplerConfig's full_steps
};

using Velocity = std::function<at::Tensor(const at::Tensor& x, const SamplerStep& step)>;

}  // namespace moga
