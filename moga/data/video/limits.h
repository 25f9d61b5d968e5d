// The size of a frame that files, scripts and stories accept.
#pragma once

#include <cstdint>

namespace moga {

// Pixels a side: H.264's limit, far beyond any model, and a bound on what a damaged header can request.
inline constexpr int64_t kLargestSide = 16384;
inline bool is_video_side(int64_t pixels) { return pixels >= 1 && pixels <= kLargestSide; }

}  // namespace moga
