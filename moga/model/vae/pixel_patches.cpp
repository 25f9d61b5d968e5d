// See pixel_patches.h.
#include "moga/model/vae/pixel_patches.h"

#include <ATen/ATen.h>

namespace moga {

at::Tensor to_pixel_patches(const at::Tensor& video, int64_t side) {
  if (side == 1) return video;
  return video.unflatten(3, {-1, side})
      .unflatten(5, {-1, side})
      .permute({0, 1, 6, 4, 2, 3, 5})  // [B, 3, column, row, T, Y, X]
      .flatten(1, 3);
}

at::Tensor from_pixel_patches(const at::Tensor& patches, int64_t side) {
  if (side == 1) return patches;
  return patches.unflatten(1, {-1, side, side})
      .permute({0, 1, 4, 5, 3, 6, 2})  // [B, 3, T, Y, row, X, column]
      .flatten(3, 4)
      .flatten(4, 5);
}

}  // namespace moga
