// Frames as VBench gives them to its models: resized in floating point without antialiasing and without clamping, then
// normalised per channel. (CLIP's and DINOv2's own preparation of images is moga/model/image/image_processor.h.)
#pragma once

#include <ATen/core/Tensor.h>

namespace moga {

// uint8 [n, 3, Y, X] → float32 [n, 3, side, side]: the short side to `side` (bicubic), the middle cut out.
at::Tensor vbench_clip_pixels(const at::Tensor& frames, int64_t side);
// The short side to `side` (bilinear), nothing cut: [n, 3, side, ⌊side · X / Y⌋] for a wide film.
at::Tensor vbench_dino_pixels(const at::Tensor& frames, int64_t side);

}  // namespace moga
