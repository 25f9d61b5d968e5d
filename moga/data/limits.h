// What scripts and stories agree on, so that the script of any story can be generated.
#pragma once

#include <cstdint>

namespace moga {

inline constexpr int64_t kLatentStride = 4;     // pixel frames a latent frame
inline constexpr int64_t kLargestSide = 16384;  // pixels; far beyond any model

}  // namespace moga
