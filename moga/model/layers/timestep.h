// The timestep's embedding and the modulation that it gives the blocks:
//
//   sinusoid → time_embedding (an Mlp) → embedding [V, C], for the head → time_projection → modulation [V, n, C]
//
// All in float32, as in Wan2.1: there are only V rows, one per timestep, so precision costs nothing. Which rows of a
// video share a timestep is not known here (attention/segments.h).
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "moga/model/layers/linear.h"

namespace moga {

// timestep [V] → [V, size]: cosines, then sines, of timestep · 10000^(−2i/size).
at::Tensor timestep_sinusoid(const at::Tensor& timestep, int64_t size);

// SiLU, then Linear C → nC under Wan2.1's name "1": n vectors, six in Wan2.1.
class TimeProjectionImpl : public torch::nn::Module {
 public:
  explicit TimeProjectionImpl(int64_t width, int64_t vectors = 6);
  at::Tensor forward(const at::Tensor& embedding);  // [V, C] → [V, n, C]

  Linear projection{nullptr};
};
TORCH_MODULE(TimeProjection);

}  // namespace moga
