// See branch_mean.h. Rows and sums: device/row_team.cuh.
#include "moga/kernels/branch_mean.h"

#include "moga/kernels/device/row_team.cuh"

namespace moga::kernels {
namespace {

__device__ int64_t place_of(const int32_t* place, int64_t row) { return place ? place[row] : row; }

__global__ void __launch_bounds__(512) forward(BranchMean work) {
  const RowTeam team(work.shape.columns);
  const RowChunk chunk(work.shape);
  const float share = 1.0f / work.branches;
  chunk.for_rows(team, [&](int64_t row, bool valid) {
    if (!valid) return;
    Fragment y = team.load(work.branch[0] + place_of(work.place[0], row) * team.columns);
    const float gate = work.gate ? work.gate[row] : 1.0f;
    for_elements([&](int v, int i) { y.value[v][i] *= gate; });
#pragma unroll
    for (int b = 1; b < kMaxBranches; ++b) {
      if (b >= work.branches) break;
      const Fragment branch = team.load(work.branch[b] + place_of(work.place[b], row) * team.columns);
      for_elements([&](int v, int i) { y.value[v][i] += branch.value[v][i]; });
    }
    for_elements([&](int v, int i) { y.value[v][i] *= share; });
    team.store(work.y + row * team.columns, y);
  });
}

__global__ void __launch_bounds__(512) backward(BranchMeanBackward work) {
  const RowTeam team(work.shape.columns);
  const RowChunk chunk(work.shape);
  const float share = 1.0f / work.branches;
  int phase = 0;
  chunk.for_rows(team, [&](int64_t row, bool valid) {
    Fragment dy = team.load(work.dy + row * team.columns);
    for_elements([&](int v, int i) { dy.value[v][i] *= share; });
    const int64_t gated_place = place_of(work.place[0], row);
    if (work.dgate) {
      const Fragment gated = team.load(work.gated + gated_place * team.columns);
      float sum[1] = {0};
      for_elements([&](int v, int i) { sum[0] += dy.value[v][i] * gated.value[v][i]; });
      team.sum(sum, phase);
      if (valid && team.lane == 0) work.dgate[row] = sum[0];
    }
    if (!valid) return;
#pragma unroll
    for (int b = 1; b < kMaxBranches; ++b)
      if (b < work.branches) team.store(work.dbranch[b] + place_of(work.place[b], row) * team.columns, dy);
    const float gate = work.gate ? work.gate[row] : 1.0f;
    for_elements([&](int v, int i) { dy.value[v][i] *= gate; });
    team.store(work.dbranch[0] + gated_place * team.columns, dy);
  });
}

}  // namespace

void branch_mean(const BranchMean& work) { launch_rows("branch_mean", forward, work); }

void branch_mean_backward(const BranchMeanBackward& work) { launch_rows("branch_mean_backward", backward, work); }

}  // namespace moga::kernels
