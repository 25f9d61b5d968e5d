// See gated_residual.h. Rows and sums: device/row_team.cuh.
#include "moga/kernels/gated_residual.h"

#include "moga/kernels/device/row_team.cuh"

namespace moga::kernels {
namespace {

__global__ void __launch_bounds__(512) forward(GatedResidual work) {
  const RowTeam team(work.shape.columns);
  const RowChunk chunk(work.shape);
  const Fragment gate = team.load(work.gate + chunk.video * team.columns);
  chunk.for_rows(team, [&](int64_t row, bool valid) {
    Fragment x = team.load(work.x + row * team.columns);
    const Fragment branch = team.load(work.branch + row * team.columns);
    for_elements([&](int v, int i) { x.value[v][i] += branch.value[v][i] * gate.value[v][i]; });
    if (valid) team.store(work.y + row * team.columns, x);
  });
}

__global__ void __launch_bounds__(512) backward(GatedResidualBackward work) {
  const RowTeam team(work.shape.columns);
  const RowChunk chunk(work.shape);
  const Fragment gate = team.load(work.gate + chunk.video * team.columns);
  Fragment dgate;
  chunk.for_rows(team, [&](int64_t row, bool valid) {
    if (!valid) return;
    Fragment dy = team.load(work.dy + row * team.columns);
    const Fragment branch = team.load(work.branch + row * team.columns);
    for_elements([&](int v, int i) {
      dgate.value[v][i] += dy.value[v][i] * branch.value[v][i];
      dy.value[v][i] *= gate.value[v][i];
    });
    team.store(work.dbranch + row * team.columns, dy);
  });
  if (work.dgate) write_partial(team, dgate, work.partial);
}

}  // namespace

void gated_residual(const GatedResidual& work) { launch_rows("gated_residual", forward, work); }

void gated_residual_backward(const GatedResidualBackward& work) {
  launch_rows("gated_residual_backward", backward, work, /*sums=*/true);
  if (work.dgate) sum_partials(work.partial, work.dgate, work.shape, work.stream);
}

}  // namespace moga::kernels
