// Rows [videos · tokens, C] of bfloat16, which a block's elementwise kernels process. The videos of one launch have the
// same size and follow one another; each may have its own vectors [C].
//
// Sums over the rows of a video (the gradients of those vectors) take two passes without atomics: each CTA sums its
// chunk of rows into `partial`, then a second launch sums the chunks. They are the same in every run.
#pragma once

#include <cstddef>
#include <cstdint>

struct CUstream_st;

namespace moga::kernels {

struct RowShape {
  int64_t videos = 0;
  int64_t tokens = 0;   // rows per video
  int32_t columns = 0;  // C, a multiple of 8, at most kMaxColumns
};

inline constexpr int32_t kMaxColumns = 8192;

// Floats of scratch for one column sum per video.
size_t partial_sums(const RowShape& shape);

}  // namespace moga::kernels
