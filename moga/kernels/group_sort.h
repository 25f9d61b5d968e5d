// Stable counting sort of tokens by group: row order and offsets of routed groups, on the device, without host
// synchronisation.
//
//   group [N] in [0, G)  →  order [N]: rows of group 0, of group 1, …, each in ascending order; offsets [G + 1];
//   place [N]: the position of each token, order[place[n]] = n
//
// No torch here: plain pointers to device memory and a stream.
#pragma once

#include <cstddef>
#include <cstdint>

struct CUstream_st;

namespace moga::kernels {

struct GroupSort {
  const int64_t* group = nullptr;  // [N]
  int64_t* order = nullptr;        // [N]
  int32_t* offsets = nullptr;      // [G + 1]
  int32_t* place = nullptr;        // [N]
  int32_t* counts = nullptr;       // scratch, group_sort_scratch(N, G) elements
  int64_t tokens = 0;              // N < 2^31
  int32_t groups = 0;              // G, 1 … kMaxSortGroups
  CUstream_st* stream = nullptr;
};

inline constexpr int32_t kMaxSortGroups = 1024;

size_t group_sort_scratch(int64_t tokens, int32_t groups);
void group_sort(const GroupSort& work);

}  // namespace moga::kernels
