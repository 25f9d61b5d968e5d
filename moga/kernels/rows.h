// Rows [videos · tokens, C] of bfloat16: what the elementwise kernels of a block work on. Videos of one launch are of
// equal size and follow one another; each may have vectors [C] of its own.
//
// Sums over the rows of a video (gradients of those vectors) are made in two passes without atomics: a CTA sums its
// chunk of rows into `partial`, a second launch sums the chunks. So they are the same in every run.
#pragma once

#include <cstddef>
#include <cstdint>

struct CUstream_st;

namespace moga::kernels {

struct RowShape {
  int64_t videos = 0;
  int64_t tokens = 0;   // rows a video
  int32_t columns = 0;  // C, a multiple of 8, at most kMaxColumns
};

inline constexpr int32_t kMaxColumns = 8192;

// Floats of scratch for one sum of each video's rows.
size_t partial_sums(const RowShape& shape);

}  // namespace moga::kernels
