// See router.h. Forward: a warp processes four tokens and eight groups at a time, with lanes along the channels, so
// each weight read from the cache serves four tokens. Backward: a thread keeps two channels of all weights and of their
// gradient in registers and iterates over the tokens of its chunk.
#include "moga/kernels/router.h"

#include "moga/kernels/device/row_team.cuh"

namespace moga::kernels {
namespace {

constexpr int kRows = 4, kTile = 8;  // tokens and groups per iteration of a warp: as many sums as lanes
constexpr int kRouteWarps = 8;
constexpr int kThreads = 256;
constexpr int kBatch = 4;  // tokens whose loads are in flight together
static_assert(kRows * kTile == kWarp);

// Lane l returns the sum over all lanes of their sums[l].
__device__ float sum_across(float (&sums)[kWarp], int lane) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const bool upper = lane & step;
#pragma unroll
    for (int i = 0; i < step; ++i) {
      const float kept = upper ? sums[i + step] : sums[i], given = upper ? sums[i] : sums[i + step];
      sums[i] = kept + __shfl_xor_sync(kAllLanes, given, step);
    }
  }
  return sums[0];
}

// Logits without bias of token lane / kTile and group tile + lane % kTile.
__device__ float logit(const Router& work, int64_t first, int tile, int lane) {
  const int columns = work.shape.columns;
  float sums[kWarp] = {};
  for (int c = lane * kElements; c < columns; c += kWarp * kElements) {
    float x[kRows][kElements];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int64_t token = min(first + r, work.shape.tokens - 1);
      unpack(*reinterpret_cast<const uint4*>(work.x + token * columns + c), x[r]);
    }
#pragma unroll
    for (int m = 0; m < kTile; ++m) {
      if (tile + m >= work.groups) break;
      const auto* weights = reinterpret_cast<const float4*>(work.weight + static_cast<int64_t>(tile + m) * columns + c);
      const float4 low = __ldg(weights), high = __ldg(weights + 1);
      const float w[kElements] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
      for (int r = 0; r < kRows; ++r)
#pragma unroll
        for (int i = 0; i < kElements; ++i) sums[r * kTile + m] += x[r][i] * w[i];
    }
  }
  return sum_across(sums, lane);
}

template <class Combine>
__device__ float over_row(float value, Combine combine) {  // the kTile lanes of a token
#pragma unroll
  for (int step = kTile / 2; step > 0; step /= 2) value = combine(value, __shfl_xor_sync(kAllLanes, value, step));
  return value;
}

// Turns a token's logits into probabilities; each of the token's kTile lanes handles every kTile-th group. Returns the
// token's group in every lane.
__device__ int choose(float* row, int groups, int part) {
  float most = -INFINITY, sum = 0, best = -1;
  for (int m = part; m < groups; m += kTile) most = fmaxf(most, row[m]);
  most = over_row(most, [](float a, float b) { return fmaxf(a, b); });
  for (int m = part; m < groups; m += kTile) sum += row[m] = expf(row[m] - most);
  sum = over_row(sum, [](float a, float b) { return a + b; });
  int group = groups - 1;
  for (int m = part; m < groups; m += kTile) {
    row[m] /= sum;
    if (row[m] > best) best = row[m], group = m;
  }
#pragma unroll
  for (int step = kTile / 2; step > 0; step /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, best, step);
    const int other_group = __shfl_xor_sync(kAllLanes, group, step);
    if (other > best || (other == best && other_group < group)) best = other, group = other_group;
  }
  return group;
}

__global__ void __launch_bounds__(kRouteWarps* kWarp) forward(Router work) {
  __shared__ float logits[kRouteWarps][kRows][kMaxRouterGroups];
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, row = lane / kTile, part = lane % kTile;
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * kRouteWarps + warp) * kRows;
  if (first >= work.shape.tokens) return;
  float* own = logits[warp][row];
  for (int tile = 0; tile < work.groups; tile += kTile) {
    const float value = logit(work, first, tile, lane);
    if (tile + part < work.groups) own[tile + part] = value + work.bias[tile + part];
  }
  __syncwarp();
  const int group = choose(own, work.groups, part);
  __syncwarp();
  const int64_t token = first + row;
  if (token >= work.shape.tokens) return;
  for (int m = part; m < work.groups; m += kTile) work.probabilities[token * work.groups + m] = own[m];
  if (part != 0) return;
  work.group[token] = group;
  work.top[token] = own[group];
}

__global__ void __launch_bounds__(kThreads) backward_logits(RouterBackward work) {
  const int64_t token = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (token >= work.shape.tokens) return;
  const int64_t row = token * work.groups;
  const int64_t group = work.group[token];
  const auto d = [&](int m) {
    return (work.dprobabilities ? work.dprobabilities[row + m] : 0) + (work.dtop && m == group ? work.dtop[token] : 0);
  };
  float along = 0;
  for (int m = 0; m < work.groups; ++m) along += work.probabilities[row + m] * d(m);
  for (int m = 0; m < work.groups; ++m) work.dlogits[row + m] = work.probabilities[row + m] * (d(m) - along);
}

__device__ float2 load_pair(const Bfloat16* x) {
  return __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(x));
}

__device__ void store_pair(Bfloat16* x, float2 value) {
  *reinterpret_cast<__nv_bfloat162*>(x) = __floats2bfloat162_rn(value.x, value.y);
}

// Grid (pairs of channels / kThreads, chunks of tokens); groups from `first`, at most kGroups of them.
template <int kGroups>
__global__ void __launch_bounds__(kThreads) backward_tokens(RouterBackward work, int first) {
  const int columns = work.shape.columns, column = 2 * (blockIdx.x * kThreads + threadIdx.x);
  if (column >= columns) return;
  const int count = min(kGroups, work.groups - first);
  float2 weight[kGroups], dweight[kGroups];
#pragma unroll
  for (int m = 0; m < kGroups; ++m) {
    dweight[m] = make_float2(0, 0);
    const int64_t group = first + min(m, count - 1);
    weight[m] = *reinterpret_cast<const float2*>(work.weight + group * columns + column);
  }
  const int64_t rows = (work.shape.tokens + gridDim.y - 1) / gridDim.y;
  const int64_t begin = min(rows * blockIdx.y, work.shape.tokens), end = min(begin + rows, work.shape.tokens);
  for (int64_t base = begin; base < end; base += kBatch) {
    float2 x[kBatch], dx[kBatch];
#pragma unroll
    for (int r = 0; r < kBatch; ++r) {
      const int64_t at = min(base + r, end - 1) * columns + column;
      x[r] = load_pair(work.x + at);
      dx[r] = work.dx_others ? load_pair(work.dx_others + at) : make_float2(0, 0);
    }
#pragma unroll
    for (int r = 0; r < kBatch; ++r) {
      if (base + r >= end) break;
      const float* dlogits = work.dlogits + (base + r) * work.groups + first;
#pragma unroll
      for (int m = 0; m < kGroups; ++m) {
        if (m >= count) break;
        const float d = __ldg(dlogits + m);
        dweight[m].x += d * x[r].x, dweight[m].y += d * x[r].y;
        dx[r].x += d * weight[m].x, dx[r].y += d * weight[m].y;
      }
      if (work.dx) store_pair(work.dx + (base + r) * columns + column, dx[r]);
    }
  }
  float* partial = work.partial + (static_cast<int64_t>(blockIdx.y) * work.groups + first) * columns + column;
#pragma unroll
  for (int m = 0; m < kGroups; ++m)
    if (m < count) *reinterpret_cast<float2*>(partial + static_cast<int64_t>(m) * columns) = dweight[m];
}

// Treats the weight gradient as one row for the sums of row_team.cuh.
RowShape flat(const RowShape& shape, int32_t groups) { return {1, shape.tokens, groups * shape.columns}; }

template <int kGroups>
void launch_backward(RouterBackward work) {
  constexpr int kColumns = 2 * kThreads;
  const dim3 grid((work.shape.columns + kColumns - 1) / kColumns, row_launch(flat(work.shape, work.groups)).chunks);
  for (int first = 0; first < work.groups; first += kGroups) {
    backward_tokens<kGroups><<<grid, kThreads, 0, work.stream>>>(work, first);
    check_launch("route_backward");
    work.dx_others = work.dx;
  }
}

}  // namespace

size_t router_partial_sums(const RowShape& shape, int32_t groups) { return partial_sums(flat(shape, groups)); }

void route(const Router& work) {
  constexpr int kTokens = kRouteWarps * kRows;
  forward<<<static_cast<unsigned>((work.shape.tokens + kTokens - 1) / kTokens), kRouteWarps * kWarp, 0, work.stream>>>(
      work);
  check_launch("route");
}

void route_backward(const RouterBackward& work) {
  backward_logits<<<static_cast<unsigned>((work.shape.tokens + kThreads - 1) / kThreads), kThreads, 0, work.stream>>>(
      work);
  check_launch("route_backward");
  work.groups <= 8 ? launch_backward<8>(work) : launch_backward<24>(work);
  sum_partials(work.partial, work.dweight, flat(work.shape, work.groups), work.stream);
}

}  // namespace moga::kernels
