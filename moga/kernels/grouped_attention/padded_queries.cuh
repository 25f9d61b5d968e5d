// Scratch memory of the backward pass for queries: lse, delta and the float32 sums of dQ, for each head and tile of
// queries. Tiles start at group boundaries, so no tile extends into the next group:
//
//   first tile of group g = q_offsets[g] / tile_rows + g,   tiles ≤ nq / tile_rows + G
//
// dQ of a tile has two parts of 64 rows (BackwardConfig), each in the order of product accumulators: 16 bytes of thread
// t at ((i · 128) + t) · 16. Consumers write it without bank conflicts, and the copy engine adds contiguous bytes.
#pragma once

#include <cstdint>

namespace moga::kernels {

template <int kTileRows, int kHeadSize>
struct PaddedQueries {
  static constexpr int kRows = kTileRows;
  float* dq_sums;    // [H, tiles, tile_rows · D]
  float* lse_delta;  // [H, tiles, 2, tile_rows]
  int32_t* turns;    // [H, tiles, 2] tiles of keys added so far to each part of dq_sums, or null for any order
  int32_t tiles;
  int32_t heads;

  static __device__ int32_t first_tile(int32_t group, int32_t first_row) { return first_row / kTileRows + group; }
  __host__ __device__ int64_t place(int32_t head, int32_t tile) const {
    return static_cast<int64_t>(head) * tiles + tile;
  }

  __device__ float* dq(int32_t head, int32_t tile) const {
    return dq_sums + place(head, tile) * (kTileRows * kHeadSize);
  }
  __device__ float* statistics(int32_t head, int32_t tile) const {
    return lse_delta + place(head, tile) * (2 * kTileRows);
  }
  __device__ int32_t* turn(int32_t head, int32_t tile, int32_t block) const {
    return turns + 2 * place(head, tile) + block;
  }
};

// The valid rows of a tile: [row, row + rows), empty if the tile is beyond the last group.
struct TileRows {
  int32_t row, rows;
};

template <class Padded>
__device__ TileRows rows_of_tile(const Padded&, const int32_t* q_offsets, int32_t groups, int32_t tile) {
  int low = 0, high = groups - 1;  // finds the last group that starts at or before the tile
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (Padded::first_tile(middle, q_offsets[middle]) <= tile)
      low = middle;
    else
      high = middle - 1;
  }
  const int first = q_offsets[low], begin = (tile - Padded::first_tile(low, first)) * Padded::kRows;
  const int rows = min(Padded::kRows, q_offsets[low + 1] - first - begin);
  return {first + begin, max(rows, 0)};
}

}  // namespace moga::kernels
