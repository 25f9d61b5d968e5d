// See qk_norm.h. Rows and sums: device/row_team.cuh. A lane's vector of 8 channels is within one head, so its four
// pairs read 32 adjacent bytes of the row's table, which is cached for all heads of the row.
#include "moga/kernels/qk_norm.h"

#include "moga/kernels/device/row_team.cuh"

namespace moga::kernels {
namespace {

// Rotates the pairs of x by the angles of the row; direction −1 is the inverse rotation.
__device__ void turn(const RowTeam& team, Fragment& x, const float* table, int64_t row, int head_dim, float direction) {
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    if (!team.holds(v)) continue;
    const auto* angles = reinterpret_cast<const float4*>(table + row * head_dim + team.column(v) % head_dim);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float4 two = angles[half];  // cos, sin, cos, sin
      float* p = &x.value[v][4 * half];
      const float a = p[0] * two.x - direction * p[1] * two.y, b = p[1] * two.x + direction * p[0] * two.y;
      const float c = p[2] * two.z - direction * p[3] * two.w, d = p[3] * two.z + direction * p[2] * two.w;
      p[0] = a, p[1] = b, p[2] = c, p[3] = d;
    }
  }
}

__global__ void __launch_bounds__(512) forward(QkNorm work) {
  const RowTeam team(work.shape.columns);
  const RowChunk chunk(work.shape);
  const Fragment weight = team.load(work.weight);
  int phase = 0;
  const auto fetch = [&](int64_t row) { return team.fetch(work.x + row * team.columns); };
  chunk.for_rows(team, fetch, [&](const PackedFragment& own, int64_t row, bool valid) {
    Fragment x = own.unpacked();
    float squares[1] = {0};
    for_elements([&](int v, int i) { squares[0] += x.value[v][i] * x.value[v][i]; });
    team.sum(squares, phase);
    const float rstd = rsqrtf(squares[0] / team.columns + work.eps);
    for_elements([&](int v, int i) { x.value[v][i] *= rstd * weight.value[v][i]; });
    if (work.table) turn(team, x, work.table, row, work.head_dim, 1.0f);
    if (valid) team.store(work.y + row * team.columns, x);
  });
}

__global__ void __launch_bounds__(512) backward(QkNormBackward work) {
  const RowTeam team(work.shape.columns);
  const RowChunk chunk(work.shape);
  const Fragment weight = team.load(work.weight);
  Fragment dweight;
  int phase = 0;
  const auto fetch = [&](int64_t row) {
    return PackedPair{team.fetch(work.x + row * team.columns), team.fetch(work.dy + row * team.columns)};
  };
  chunk.for_rows(team, fetch, [&](const PackedPair& own, int64_t row, bool valid) {
    const Fragment x = own.first.unpacked();
    Fragment g = own.second.unpacked();
    if (work.table) turn(team, g, work.table, row, work.head_dim, -1.0f);
    float sums[2] = {0, 0};  // Σ x², Σ g·weight·x
    for_elements([&](int v, int i) {
      sums[0] += x.value[v][i] * x.value[v][i];
      sums[1] += g.value[v][i] * weight.value[v][i] * x.value[v][i];
    });
    team.sum(sums, phase);
    const float rstd = rsqrtf(sums[0] / team.columns + work.eps);
    const float along = rstd * rstd * sums[1] / team.columns;  // rstd · mean(g·weight·x̂)
    for_elements([&](int v, int i) {
      if (valid) dweight.value[v][i] += g.value[v][i] * x.value[v][i] * rstd;
      g.value[v][i] = rstd * (g.value[v][i] * weight.value[v][i] - x.value[v][i] * along);
    });
    if (valid) team.store(work.dx + row * team.columns, g);
  });
  if (work.dweight) write_partial(team, dweight, work.partial);
}

}  // namespace

void qk_norm(const QkNorm& work) { launch_rows("qk_norm", forward, work); }

void qk_norm_backward(const QkNormBackward& work) {
  launch_rows("qk_norm_backward", backward, work, /*sums=*/true);
  if (work.dweight) sum_partials(work.partial, work.dweight, work.shape, work.stream);
}

}  // namespace moga::kernels
