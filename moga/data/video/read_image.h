// Pictures that a user brings: PNG and JPEG files of any kind → uint8 RGB [3, Y, X], turned as their Exif orientation
// says.
//
// Of 16 bits a channel the upper 8 are taken; palettes and shades of grey become RGB; colour profiles and gamma are not
// applied: what Pillow's convert("RGB") gives. Refused in one line: CMYK, transparent pixels, other formats, sides
// beyond kLargestSide. Own PNGs are image.h.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>

namespace moga {

at::Tensor read_image(const std::filesystem::path& path);

}  // namespace moga
