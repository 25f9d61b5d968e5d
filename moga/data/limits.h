// Limits shared by scripts and stories, so that the script of every story can be generated.
#pragma once

#include <cstdint>

#include "moga/core/strides.h"
#include "moga/data/video/limits.h"

namespace moga {

// Wan2.1's pixels per token. Scripts are checked against it while no model is known. Stories are drawn for it: their
// sides divide by it, and their cuts are between its latent frames.
inline constexpr Strides kWanPixelsPerToken = {4, 16, 16};
inline constexpr int64_t kLatentStride = kWanPixelsPerToken.frames;

}  // namespace moga
