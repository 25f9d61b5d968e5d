// Colours of an inspection's maps, in the page and on the sheets.
//
// Groups: the eight colours of Okabe and Ito, which remain distinct with colour-vision deficiencies, then the same
// mixed with white and with black; from group 24 on they repeat. Gate and entropy: from dark blue over grey to yellow,
// whose lightness rises evenly.
#pragma once

#include <ATen/core/Tensor.h>

namespace moga {

inline constexpr int64_t kGroupColours = 24;

// uint8 [256, 3] on the CPU: the colour of a byte of a map (model/routing_record.h).
at::Tensor group_colours();
at::Tensor value_colours();

// A map's colours over a picture in grey: uint8 [3, y, x]. map: uint8 [Y, X], stretched to the picture's size.
at::Tensor overlay(const at::Tensor& picture, const at::Tensor& map, const at::Tensor& colours);
inline constexpr double kOverlayOpacity = 0.65;

}  // namespace moga
