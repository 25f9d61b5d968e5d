// Latents of a batch of videos as one flat tensor, which is what samplers and losses compute on: the latents
// [C_z, F, Y', X'] of each video, flattened, one after the other. Models take the views.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace moga {

struct PackedLatents {
  at::Tensor values;                         // [E]
  std::vector<std::vector<int64_t>> shapes;  // of each video

  static PackedLatents pack(const std::vector<at::Tensor>& videos);
  std::vector<int64_t> counts() const;    // elements of each video
  std::vector<at::Tensor> views() const;  // one per video, sharing memory with values
};

}  // namespace moga
