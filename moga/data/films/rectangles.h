// Rectangles of a picture, in pixels, and the largest one that avoids others.
#pragma once

#include <vector>

#include "moga/data/video/film.h"

namespace moga {

inline constexpr size_t kMostBoxes = 12;  // that largest_crop is given: its work grows with their fourth power

// The largest rectangle within `picture` that has its aspect ratio and meets none of the boxes; of several, the one
// whose centre is nearest to the picture's. Width 0 when nothing is left.
Crop largest_crop(const Crop& picture, const std::vector<Crop>& boxes);

inline double area_of(const Crop& box) { return static_cast<double>(box.width) * static_cast<double>(box.height); }

}  // namespace moga
