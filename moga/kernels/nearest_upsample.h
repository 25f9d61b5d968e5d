// Nearest-neighbour upsampling by 2 in both directions. Where a pixel holds the channels of several frames, each goes
// to its own frame:
//
//   y[t · parts + p, 2r + i, 2c + j, :] = x[t, r, c, p, :]      i, j ∈ {0, 1}
//
// The VAE decoder's upsampling in one pass: x is read once and y written once, 16 bytes at a time. No torch.
#pragma once

#include <cstdint>

#include "moga/kernels/bfloat16.h"

struct CUstream_st;

namespace moga::kernels {

struct NearestUpsample {
  const Bfloat16* x = nullptr;  // [frames, rows, columns, parts, C]
  Bfloat16* y = nullptr;        // [frames · parts, 2 rows, 2 columns, C]
  int64_t frames = 0;
  int32_t rows = 0, columns = 0;
  int32_t parts = 1;
  int32_t channels = 0;  // C, a multiple of 8
  CUstream_st* stream = nullptr;
};
void nearest_upsample(const NearestUpsample& work);

}  // namespace moga::kernels
