// See branch_mean.h; rows and sums: device/row_team.cuh.
#include "moga/kernels/branch_mean.h"

#include "moga/kernels/device/row_team.cuh"

namespace moga::kernels {
namespace {

__global__ void __launch_bounds__(512) forward(BranchMean work) {
  const RowTeam team(work.shape.columns);
  const RowChunk chunk(work.shape);
  const float share = 1.0f / work.branches;
  chunk.for_rows(team, [&](int64_t row, bool valid) {
    if (!valid) return;
    Fragment y = team.load(work.branch[0] + row * team.columns);
    const float gate = work.gate ? work.gate[row] : 1.0f;
    for_elements([&](int v, int i) { y.value[v][i] *= gate; });
#pragma unroll
    for (int b = 1; b < kMaxBranches; ++b) {
      if (b >= work.branches) break;
      const Fragment branch = team.load(work.branch[b] + row * team.columns);
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
    const Fragment gated = team.load(work.gated + row * team.columns);
    float sum[1] = {0};
    for_elements([&](int v, int i) {
      dy.value[v][i] *= share;
      sum[0] += dy.value[v][i] * gated.value[v][i];
    });
    team.sum(sum, phase);
    if (!valid) return;
    if (work.drest) team.store(work.drest + row * team.columns, dy);
    const float gate = work.gate[row];
    for_elements([&](int v, int i) { dy.value[v][i] *= gate; });
    team.store(work.dgated + row * team.columns, dy);
    if (team.lane == 0) work.dgate[row] = sum[0];
  });
}

}  // namespace

void branch_mean(const BranchMean& work) {
  launch_rows("branch_mean", forward, work);
}

void branch_mean_backward(const BranchMeanBackward& work) {
  launch_rows("branch_mean_backward", backward, work);
}

}  // namespace moga::kernels
