// Classifier-free guidance: v = v_u + scale · (v_c - v_u).
#include <ATen/ATen.h>

#include "moga/core/check.h"
#include "moga/sampler/solver.h"

namespace moga {

Velocity guided(const VelocityPair& pair, double scale) {
  return [pair, scale](const at::Tensor& x, double t) {
    const auto [conditional, unconditional] = pair(x, t);
    check(conditional.sizes() == unconditional.sizes(), "guidance: conditional velocity ", conditional.sizes(),
          ", unconditional ", unconditional.sizes());
    return at::add(unconditional, conditional - unconditional, scale);
  };
}

}  // namespace moga
