// See adaptive_norm.h. Rows and sums: device/row_team.cuh.
#include "moga/kernels/adaptive_norm.h"

#include "moga/kernels/device/row_team.cuh"

namespace moga::kernels {
namespace {

__device__ float rounded(float x) { return __bfloat162float(__float2bfloat16_rn(x)); }

__global__ void __launch_bounds__(512) forward(AdaptiveNorm work) {
  const RowTeam team(work.shape.columns);
  const RowChunk chunk(work.shape);
  const Fragment weight = team.load(work.weight + chunk.video * team.columns);
  const Fragment bias = team.load(work.bias + chunk.video * team.columns);
  Fragment gate;
  for_elements([&](int v, int i) { gate.value[v][i] = 1; });
  if (work.gate) gate = team.load(work.gate + chunk.video * team.columns);
  const float scale = 1.0f / team.columns;
  int phase = 0;
  const auto fetch = [&](int64_t row) {
    return work.branch
               ? PackedPair{team.fetch(work.before + row * team.columns), team.fetch(work.branch + row * team.columns)}
               : PackedPair{team.fetch(work.before + row * team.columns), {}};
  };
  chunk.for_rows(team, fetch, [&](const PackedPair& own, int64_t row, bool valid) {
    Fragment x = own.first.unpacked();
    if (work.branch) {
      const Fragment branch = own.second.unpacked();
      for_elements(
          [&](int v, int i) { x.value[v][i] = rounded(x.value[v][i] + branch.value[v][i] * gate.value[v][i]); });
      if (valid) team.store(work.x + row * team.columns, x);
    }
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

// Weight and gate are read from the cache for each row: three vector gradients leave no registers for them.
template <bool kGated>
__global__ void __launch_bounds__(512) backward(AdaptiveNormBackward work) {
  const RowTeam team(work.shape.columns);
  const RowChunk chunk(work.shape);
  const int64_t vectors = chunk.video * team.columns;
  const float scale = 1.0f / team.columns;
  Fragment dweight, dbias, dgate;
  int phase = 0;
  const auto fetch = [&](int64_t row) {
    return PackedPair{team.fetch(work.x + row * team.columns), team.fetch(work.dy + row * team.columns)};
  };
  const auto visit = [&](const PackedPair& own, int64_t row, bool valid) {
    PackedPair after;  // loads in flight while the team waits for its sums
    if (work.dx_others) after.first = team.fetch(work.dx_others + row * team.columns);
    if (kGated) after.second = team.fetch(work.branch + row * team.columns);
    Fragment x = own.first.unpacked();  // becomes x̂
    Fragment g = own.second.unpacked();
    const float mean = work.mean[row], rstd = work.rstd[row];
    const Fragment weight = team.load(work.weight + vectors);
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
    const Fragment others = after.first.unpacked();
    for_elements([&](int v, int i) { g.value[v][i] += others.value[v][i]; });
    if (valid) team.store(work.dx + row * team.columns, g);
    if (!kGated) return;
    const Fragment branch = after.second.unpacked(), gate = team.load(work.gate + vectors);
    for_elements([&](int v, int i) {
      if (valid) dgate.value[v][i] += g.value[v][i] * branch.value[v][i];
      g.value[v][i] *= gate.value[v][i];
    });
    if (valid) team.store(work.dbranch + row * team.columns, g);
  };
  if (kGated)  // no registers for a second row
    chunk.for_rows(team, [&](int64_t row, bool valid) { visit(fetch(row), row, valid); });
  else
    chunk.for_rows(team, fetch, visit);
  if (!work.dweight) return;
  const int64_t sums = static_cast<int64_t>(gridDim.y) * gridDim.x * team.columns;
  write_partial(team, dweight, work.partial);
  write_partial(team, dbias, work.partial + sums);
  if (kGated) write_partial(team, dgate, work.partial + 2 * sums);
}

}  // namespace

void adaptive_norm(const AdaptiveNorm& work) { launch_rows("adaptive_norm", forward, work); }

void adaptive_norm_backward(const AdaptiveNormBackward& work) {
  launch_rows("adaptive_norm_backward", work.gate ? backward<true> : backward<false>, work, /*sums=*/true);
  if (!work.dweight) return;
  sum_partials(work.partial, work.dweight, work.shape, work.stream);
  sum_partials(work.partial + partial_sums(work.shape), work.dbias, work.shape, work.stream);
  if (work.dgate) sum_partials(work.partial + 2 * partial_sums(work.shape), work.dgate, work.shape, work.stream);
}

}  // namespace moga::kernels
