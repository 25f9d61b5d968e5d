// See timestep.h.
#include "moga/model/layers/timestep.h"

namespace moga {

at::Tensor timestep_sinusoid(const at::Tensor& timestep, int64_t size) {
  // float64, because an angle of up to 1000 has only 2^-14 of a turn in float32.
  const auto options = at::TensorOptions().dtype(at::kDouble).device(timestep.device());
  const at::Tensor frequency = at::pow(10000.0, at::arange(size / 2, options) / -static_cast<double>(size / 2));
  const at::Tensor angle = at::outer(timestep.to(at::kDouble), frequency);
  return at::cat({at::cos(angle), at::sin(angle)}, 1);
}

TimeProjectionImpl::TimeProjectionImpl(int64_t width, int64_t vectors)
    : projection(register_module("1", Linear(width, vectors * width))) {}

at::Tensor TimeProjectionImpl::forward(const at::Tensor& embedding) {
  return projection(at::silu(embedding)).view({embedding.size(0), -1, embedding.size(1)});
}

}  // namespace moga
