// See adaptive_norm.h; rows and sums: device/row_team.cuh.
#include "moga/kernels/adaptive_norm.h"

#include "moga/kernels/device/row_team.cuh"

namespace moga::kernels {
namespace {

__global__ void __launch_bounds__(512) forward(AdaptiveNorm work) {
  const RowTeam team(work.shape.columns);
  const RowChunk chunk(work.shape);
  const Fragment weight = team.load(work.weight + chunk.video * team.columns);
  const Fragment bias = team.load(work.bias + chunk.video * team.columns);
  const float scale = 1.0f / team.columns;
  int phase = 0;
  chunk.for_rows(team, [&](int64_t row, bool valid) {
    Fragment x = team.load(work.x + row * team.columns);
    float sum[1] = {0};
    for_elements([&](int v, int i) { sum[0] += x.value[v][i]; });
    team.sum(sum, phase);
    const float mean = sum[0] * scale;
    float squares[1] = {0};
    for_elements([&](int v, int i) {
      x.value[v][i] -= mean;
      if (team.holds(v)) squares[0] += x.value[v][i] * x.value[v][i];
    });
    team.sum(squares, phase);
    const float rstd = rsqrtf(squares[0] * scale + work.eps);
    for_elements([&](int v, int i) { x.value[v][i] = x.value[v][i] * rstd * weight.value[v][i] + bias.value[v][i]; });
    if (!valid) return;
    team.store(work.y + row * team.columns, x);
    if (team.lane == 0) {
      work.mean[row] = mean;
      work.rstd[row] = rstd;
    }
  });
}

__global__ void __launch_bounds__(512) backward(AdaptiveNormBackward work) {
  const RowTeam team(work.shape.columns);
  const RowChunk chunk(work.shape);
  const Fragment weight = team.load(work.weight + chunk.video * team.columns);
  const float scale = 1.0f / team.columns;
  Fragment dweight, dbias;
  int phase = 0;
  chunk.for_rows(team, [&](int64_t row, bool valid) {
    Fragment x = team.load(work.x + row * team.columns);  // becomes x̂
    Fragment g = team.load(work.dy + row * team.columns);
    const float mean = work.mean[row], rstd = work.rstd[row];
    float sums[2] = {0, 0};
    for_elements([&](int v, int i) {
      x.value[v][i] = team.holds(v) ? (x.value[v][i] - mean) * rstd : 0;
      if (valid) {
        dweight.value[v][i] += g.value[v][i] * x.value[v][i];
        dbias.value[v][i] += g.value[v][i];
      }
      g.value[v][i] *= weight.value[v][i];
      sums[0] += g.value[v][i];
      sums[1] += g.value[v][i] * x.value[v][i];
    });
    team.sum(sums, phase);
    for_elements([&](int v, int i) {
      g.value[v][i] = rstd * (g.value[v][i] - sums[0] * scale - x.value[v][i] * (sums[1] * scale));
    });
    if (valid) team.store(work.dx + row * team.columns, g);
  });
  if (!work.dweight) return;
  write_partial(team, dweight, work.partial);
  write_partial(team, dbias, work.partial + static_cast<int64_t>(gridDim.y) * gridDim.x * team.columns);
}

}  // namespace

void adaptive_norm(const AdaptiveNorm& work) {
  launch_rows("adaptive_norm", forward, work);
}

void adaptive_norm_backward(const AdaptiveNormBackward& work) {
  launch_rows("adaptive_norm_backward", backward, work, /*sums=*/true);
  if (!work.dweight) return;
  sum_partials(work.partial, work.dweight, work.shape, work.stream);
  sum_partials(work.partial + partial_sums(work.shape), work.dbias, work.shape, work.stream);
}

}  // namespace moga::kernels
