// Bounds far beyond any model, so that a damaged config is refused before its modules exhaust memory.
#pragma once

#include <cstdint>

namespace moga {

inline constexpr int64_t kMostLayers = 10'000;       // blocks of a transformer or text encoder
inline constexpr int64_t kMostResidualBlocks = 100;  // at one resolution of the VAE
inline constexpr int64_t kMostSide = 1 << 20;        // of a weight: the bytes of no product of three overflow
inline constexpr int64_t kMostVaeSide = 1 << 12;     // channels, latent channels, multiplier of a level
inline constexpr int64_t kMostPatchSide = 64;        // rows or columns

}  // namespace moga
