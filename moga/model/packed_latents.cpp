// See packed_latents.h.
#include "moga/model/packed_latents.h"

#include <ATen/ATen.h>

namespace moga {

PackedLatents PackedLatents::pack(const std::vector<at::Tensor>& videos) {
  PackedLatents packed;
  std::vector<at::Tensor> flat;
  for (const at::Tensor& video : videos) {
    packed.shapes.push_back(video.sizes().vec());
    flat.push_back(video.flatten());
  }
  packed.values = at::cat(flat);
  return packed;
}

std::vector<int64_t> PackedLatents::counts() const {
  std::vector<int64_t> counts;
  for (const auto& shape : shapes) counts.push_back(c10::multiply_integers(shape));
  return counts;
}

std::vector<at::Tensor> PackedLatents::views() const {
  std::vector<at::Tensor> videos;
  const std::vector<int64_t> sizes = counts();
  int64_t begin = 0;
  for (size_t video = 0; video < shapes.size(); begin += sizes[video++])
    videos.push_back(values.narrow(0, begin, sizes[video]).view(shapes[video]));
  return videos;
}

}  // namespace moga
