// Bounds far beyond any model, so that a damaged config is refused before its modules fill the memory.
#pragma once

#include <cstdint>

namespace moga {

inline constexpr int64_t kMostLayers = 10'000;       // blocks of a transformer or text encoder
inline constexpr int64_t kMostResidualBlocks = 100;  // at one resolution of the VAE

}  // namespace moga
