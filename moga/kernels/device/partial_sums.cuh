// The second pass of column sums: adds the chunks that the first pass wrote.
#pragma once

#include <cstdint>

struct CUstream_st;

namespace moga::kernels {

struct PartialSums {
  const float* values;  // [videos, chunks, columns]
  int64_t videos;
  int32_t chunks, columns;
};

// out [videos, columns] = sum over the chunks, always in the same order.
void sum_partials(const PartialSums& partial, float* out, CUstream_st* stream);

}  // namespace moga::kernels
