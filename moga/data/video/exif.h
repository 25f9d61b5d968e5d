// The orientation of a picture, from its Exif data: a TIFF directory in a JPEG's APP1 or a PNG's eXIf.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

namespace moga {

// 1 (upright) to 8. `exif`: from the TIFF header ("II" or "MM") on. 1 where there is none or it is damaged: it is a
// hint, not part of the pixels.
int exif_orientation(std::span<const uint8_t> exif);

// [3, Y, X] as stored → as it is to be seen.
at::Tensor upright(const at::Tensor& image, int orientation);

}  // namespace moga
