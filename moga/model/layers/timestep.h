// The timestep's way into the blocks: sinusoid → time_embedding (an Mlp) → time_projection, in float32 throughout, as
// Wan2.1 does (B rows only, so precision costs nothing).
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "moga/model/layers/linear.h"

namespace moga {

// timestep [B] → [B, size]: cosines, then sines, of timestep · 10000^(−2i/size).
at::Tensor timestep_sinusoid(const at::Tensor& timestep, int64_t size);

// SiLU, then Linear C → 6C under Wan2.1's name "1".
class TimeProjectionImpl : public torch::nn::Module {
 public:
  explicit TimeProjectionImpl(int64_t width);
  at::Tensor forward(const at::Tensor& embedding);  // [B, C] → [B, 6, C]

  Linear projection{nullptr};
};
TORCH_MODULE(TimeProjection);

}  // namespace moga
