// See row_move.h; rows: device/row_team.cuh.
#include "moga/kernels/row_move.h"

#include "moga/kernels/device/row_team.cuh"

namespace moga::kernels {
namespace {

__global__ void __launch_bounds__(512) gather(GatherRows work) {
  const RowTeam team(work.shape.columns);
  const RowChunk chunk(work.shape);
  chunk.for_rows(team, [&](int64_t row, bool valid) {
    if (valid) team.store(work.out + row * team.columns, team.load(work.x + work.index[row] * team.columns));
  });
}

__global__ void __launch_bounds__(512) scatter(ScatterRows work) {
  const RowTeam team(work.shape.columns);
  const RowChunk chunk(work.shape);
  chunk.for_rows(team, [&](int64_t row, bool valid) {
    if (valid) team.store(work.out + work.index[row] * team.columns, team.load(work.x + row * team.columns));
  });
}

__global__ void __launch_bounds__(512) sum(SumRows work) {
  const RowTeam team(work.shape.columns);
  const RowChunk chunk(work.shape);
  chunk.for_rows(team, [&](int64_t row, bool valid) {
    if (!valid) return;
    Fragment total;
    const int begin = row < work.listed ? work.begin[row] : 0, end = row < work.listed ? work.begin[row + 1] : 0;
    for (int j = begin; j < end; ++j) {
      const Fragment x = team.load(work.x + static_cast<int64_t>(work.source[j]) * team.columns);
      for_elements([&](int v, int i) { total.value[v][i] += x.value[v][i]; });
    }
    team.store(work.out + row * team.columns, total);
  });
}

}  // namespace

void gather_rows(const GatherRows& work) {
  launch_rows("gather_rows", gather, work);
}

void scatter_rows(const ScatterRows& work) {
  launch_rows("scatter_rows", scatter, work);
}

void sum_rows(const SumRows& work) {
  launch_rows("sum_rows", sum, work);
}

}  // namespace moga::kernels
