// Layout and sums for all elementwise kernels of a block. A team of warps holds a row of C bfloat16 values in
// registers: two vectors of 8 elements (16 bytes) per lane, so one warp for C ≤ 512, three for C = 1536, ten for C =
// 5120. A CTA has several teams that process one row each in lockstep and accumulate column sums in registers from row
// to row.
#pragma once

#include "moga/kernels/bfloat16.h"
#include "moga/kernels/device/launch.h"
#include "moga/kernels/device/vector8.cuh"
#include "moga/kernels/device/warp.cuh"
#include "moga/kernels/rows.h"

namespace moga::kernels {

inline constexpr int kVectors = 2;
inline constexpr int kMaxWarps = kMaxColumns / (kWarp * kVectors * kElements);

// Warps that hold a row of C elements.
__host__ __device__ inline int row_warps(int columns) {
  constexpr int kWarpHolds = kWarp * kVectors * kElements;
  return (columns + kWarpHolds - 1) / kWarpHolds;
}

// The part of a row held by one lane. Elements beyond C are zero.
struct Fragment {
  float value[kVectors][kElements] = {};
};

// The same, as it was loaded: half the registers, for a row whose load is in flight.
struct PackedFragment {
  uint4 vector[kVectors] = {};

  __device__ Fragment unpacked() const {
    Fragment x;
#pragma unroll
    for (int v = 0; v < kVectors; ++v) unpack(vector[v], x.value[v]);
    return x;
  }
};

// Rows of two tensors, with loads in flight.
struct PackedPair {
  PackedFragment first, second;
};

template <class Function>
__device__ void for_elements(Function function) {
#pragma unroll
  for (int v = 0; v < kVectors; ++v)
#pragma unroll
    for (int i = 0; i < kElements; ++i) function(v, i);
}

struct RowTeam {
  int columns, warps, teams, team, lane;

  __device__ explicit RowTeam(int c)
      : columns(c),
        warps(row_warps(c)),
        teams(blockDim.x / (warps * kWarp)),
        team(threadIdx.x / (warps * kWarp)),
        lane(threadIdx.x % (warps * kWarp)) {}

  __device__ int column(int v) const { return (v * warps * kWarp + lane) * kElements; }
  __device__ bool holds(int v) const { return column(v) < columns; }

  __device__ PackedFragment fetch(const Bfloat16* row) const {
    PackedFragment x;
#pragma unroll
    for (int v = 0; v < kVectors; ++v)
      if (holds(v)) x.vector[v] = *reinterpret_cast<const uint4*>(row + column(v));
    return x;
  }

  __device__ Fragment load(const Bfloat16* row) const { return fetch(row).unpacked(); }

  __device__ Fragment load(const float* row) const {
    Fragment x;
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      if (!holds(v)) continue;
#pragma unroll
      for (int half = 0; half < 2; ++half)
        *reinterpret_cast<float4*>(&x.value[v][4 * half]) =
            *reinterpret_cast<const float4*>(row + column(v) + 4 * half);
    }
    return x;
  }

  __device__ void store(Bfloat16* row, const Fragment& x) const {
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      if (!holds(v)) continue;
      *reinterpret_cast<uint4*>(row + column(v)) = pack(x.value[v]);
    }
  }

  // Sums over the team, in every lane. All teams of the CTA call it together. `phase` alternates from call to call, so
  // one barrier per call is enough.
  template <int kSums>
  __device__ void sum(float (&sums)[kSums], int& phase) const {
#pragma unroll
    for (int s = 0; s < kSums; ++s)
#pragma unroll
      for (int step = kWarp / 2; step > 0; step /= 2) sums[s] += __shfl_xor_sync(0xffffffffu, sums[s], step);
    if (warps == 1) return;
    __shared__ float exchange[2][kSums][kMaxWarps];
    const int first = team * warps;
    if (threadIdx.x % kWarp == 0)
#pragma unroll
      for (int s = 0; s < kSums; ++s) exchange[phase][s][threadIdx.x / kWarp] = sums[s];
    __syncthreads();
#pragma unroll
    for (int s = 0; s < kSums; ++s) {
      sums[s] = 0;
      for (int w = 0; w < warps; ++w) sums[s] += exchange[phase][s][first + w];
    }
    phase ^= 1;
  }
};

// The rows of one CTA: chunk blockIdx.x of video blockIdx.y.
struct RowChunk {
  int64_t video, begin, end, tokens;
  __device__ explicit RowChunk(const RowShape& shape) : video(blockIdx.y), tokens(shape.tokens) {
    const int64_t rows = (shape.tokens + gridDim.x - 1) / gridDim.x;
    begin = min(rows * blockIdx.x, shape.tokens);
    end = min(begin + rows, shape.tokens);
  }

  // Calls visit(row over all videos, whether it belongs to this chunk), in lockstep for all teams.
  template <class Visit>
  __device__ void for_rows(const RowTeam& team, Visit visit) const {
    for (int64_t base = begin; base < end; base += team.teams) {
      const int64_t row = base + team.team;
      visit(video * tokens + min(row, end - 1), row < end);
    }
  }

  // The same for kernels that wait for sums at every row: fetch(row) loads the input of visit(input, row, valid) while
  // the previous row is being processed.
  template <class Fetch, class Visit>
  __device__ void for_rows(const RowTeam& team, Fetch fetch, Visit visit) const {
    if (begin >= end) return;
    const auto row_at = [&](int64_t base) { return video * tokens + min(base + team.team, end - 1); };
    auto next = fetch(row_at(begin));
    for (int64_t base = begin; base < end; base += team.teams) {
      const auto own = next;
      if (base + team.teams < end) next = fetch(row_at(base + team.teams));
      visit(own, row_at(base), base + team.team < end);
    }
  }
};

// Adds the column sums of this CTA's teams and writes them to its row of `partial` [videos, chunks, C].
__device__ inline void write_partial(const RowTeam& team, const Fragment& sums, float* partial) {
  extern __shared__ float team_sums[];  // [teams, C]
  __syncthreads();
  for_elements([&](int v, int i) {
    if (team.holds(v)) team_sums[team.team * team.columns + team.column(v) + i] = sums.value[v][i];
  });
  __syncthreads();
  float* out = partial + (static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x) * team.columns;
  for (int c = threadIdx.x; c < team.columns; c += blockDim.x) {
    float sum = 0;
    for (int t = 0; t < team.teams; ++t) sum += team_sums[t * team.columns + c];
    out[c] = sum;
  }
}

struct RowLaunch {
  int chunks = 1;  // CTAs per video
  int threads = 0;
  size_t shared_bytes = 0;  // for write_partial
};
RowLaunch row_launch(const RowShape& shape);

// Launches a kernel over the rows of work.shape; `sums` says whether it ends with write_partial.
template <class Work>
void launch_rows(const char* name, void (*kernel)(Work), const Work& work, bool sums = false) {
  const RowLaunch launch = row_launch(work.shape);
  const dim3 grid(launch.chunks, static_cast<unsigned>(work.shape.videos));
  kernel<<<grid, launch.threads, sums ? launch.shared_bytes : 0, work.stream>>>(work);
  check_launch(name);
}

// out [videos, C] = sum over the chunks of partial.
void sum_partials(const float* partial, float* out, const RowShape& shape, CUstream_st* stream);

}  // namespace moga::kernels
