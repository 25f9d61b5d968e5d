// See row_move.h. Rows: device/row_team.cuh.
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

__device__ void add_part(const RowTeam& team, Fragment& total, const SumRows::Part& part, int64_t row) {
  const auto add = [&](int64_t place) {
    const Fragment x = team.load(part.x + place * team.columns);
    for_elements([&](int v, int i) { total.value[v][i] += x.value[v][i]; });
  };
  if (!part.begin) return add(part.source ? part.source[row] : row);
  const int end = part.begin[row + 1];
  for (int j = part.begin[row]; j < end; ++j) add(part.source[j]);
}

__global__ void __launch_bounds__(512) sum(SumRows work) {
  const RowTeam team(work.shape.columns);
  const RowChunk chunk(work.shape);
  chunk.for_rows(team, [&](int64_t row, bool valid) {
    if (!valid) return;
    Fragment total;
#pragma unroll
    for (int p = 0; p < kMaxParts; ++p)
      if (p < work.parts && row < work.part[p].listed) add_part(team, total, work.part[p], row);
    team.store(work.out + row * team.columns, total);
  });
}

}  // namespace

void gather_rows(const GatherRows& work) { launch_rows("gather_rows", gather, work); }

void scatter_rows(const ScatterRows& work) { launch_rows("scatter_rows", scatter, work); }

void sum_rows(const SumRows& work) { launch_rows("sum_rows", sum, work); }

}  // namespace moga::kernels
