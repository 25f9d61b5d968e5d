// See column_sum.h. Rows and sums: device/row_team.cuh.
#include "moga/kernels/column_sum.h"

#include "moga/kernels/device/row_team.cuh"

namespace moga::kernels {
namespace {

__global__ void __launch_bounds__(512) sum_rows(ColumnSum work) {
  const RowTeam team(work.shape.columns);
  const RowChunk chunk(work.shape);
  Fragment sum;
  chunk.for_rows(team, [&](int64_t row, bool valid) {
    if (!valid) return;
    const Fragment x = team.load(work.x + row * team.columns);
    for_elements([&](int v, int i) { sum.value[v][i] += x.value[v][i]; });
  });
  write_partial(team, sum, work.partial);
}

}  // namespace

void column_sum(const ColumnSum& work) {
  launch_rows("column_sum", sum_rows, work, /*sums=*/true);
  sum_partials(work.partial, work.out, work.shape, work.stream);
}

}  // namespace moga::kernels
