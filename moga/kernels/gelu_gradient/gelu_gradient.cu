// See gelu_gradient.h. A CTA processes 256 columns, 8 per lane (16 bytes), of a chunk of rows. Its warps take rows in
// turn and keep column sums in registers until the chunk ends. Unlike in device/row_team.cuh, rows may have any width,
// and lanes exchange nothing.
#include "moga/kernels/gelu_gradient.h"

#include "moga/kernels/device/gelu.h"
#include "moga/kernels/device/launch.h"
#include "moga/kernels/device/partial_sums.cuh"
#include "moga/kernels/device/vector8.cuh"
#include "moga/kernels/device/warp.cuh"

namespace moga::kernels {
namespace {

constexpr int kWarps = 8;
constexpr int kCtaColumns = kWarp * kElements;
constexpr int kRowsAtOnce = 2;      // per lane with loads in flight
constexpr int kCtas = 132 * 64;     // many, so that the last ones to finish idle a large GPU only briefly
constexpr int64_t kLeastRows = 64;  // per chunk; its sums are then 1 % of the bytes

int column_tiles(int32_t hidden) { return (hidden + kCtaColumns - 1) / kCtaColumns; }

int32_t chunks_of(int64_t rows, int32_t hidden) {
  const int64_t most = (rows + kLeastRows - 1) / kLeastRows, wanted = kCtas / column_tiles(hidden) + 1;
  return static_cast<int32_t>(most < wanted ? most : wanted);
}

// Eight columns of one row: dy becomes dpre and is added to the sums, pre becomes y.
__device__ __forceinline__ void differentiate(uint4& dy, uint4& pre, float (&sums)[kElements]) {
  float gradient[kElements], x[kElements];
  unpack(dy, gradient);
  unpack(pre, x);
#pragma unroll
  for (int i = 0; i < kElements; ++i) {
    const Gelu of_x = gelu(x[i]);
    gradient[i] *= of_x.derivative;
    sums[i] += gradient[i];
    x[i] = of_x.value;
  }
  dy = pack(gradient);
  pre = pack(x);
}

// Adds the sums of the CTA's warps in a fixed order and writes them to its row of partial [chunks, hidden].
__device__ __forceinline__ void write_sums(const float (&sums)[kElements], float* partial, int first, int hidden) {
  __shared__ float of_warp[kWarps][kCtaColumns];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
#pragma unroll
  for (int i = 0; i < kElements; i += 4)
    *reinterpret_cast<float4*>(&of_warp[warp][lane * kElements + i]) =
        make_float4(sums[i], sums[i + 1], sums[i + 2], sums[i + 3]);
  __syncthreads();
  const int column = first + threadIdx.x;
  if (column >= hidden) return;
  float sum = 0;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) sum += of_warp[w][threadIdx.x];
  partial[static_cast<int64_t>(blockIdx.y) * hidden + column] = sum;
}

// Grid (column tiles, chunks).
__global__ void __launch_bounds__(kWarps* kWarp, 4) differentiate_gelu(GeluGradient work) {
  static_assert(kWarps * kWarp == kCtaColumns, "write_sums: a thread a column");
  const int first = blockIdx.x * kCtaColumns, column = first + threadIdx.x % kWarp * kElements;
  const int64_t chunk = (work.rows + gridDim.y - 1) / gridDim.y;
  const int64_t begin = chunk * blockIdx.y, end = min(begin + chunk, work.rows);
  float sums[kElements] = {};
  if (column < work.hidden) {
    for (int64_t row = begin + threadIdx.x / kWarp; row < end; row += kWarps * kRowsAtOnce) {
      uint4 dy[kRowsAtOnce], pre[kRowsAtOnce];
      const auto each_row = [&](auto visit) {
#pragma unroll
        for (int r = 0; r < kRowsAtOnce; ++r)
          if (row + r * kWarps < end) visit(r, (row + r * kWarps) * work.hidden + column);
      };
      each_row([&](int r, int64_t place) {
        dy[r] = *reinterpret_cast<const uint4*>(work.dy + place);
        pre[r] = *reinterpret_cast<const uint4*>(work.pre + place);
      });
      each_row([&](int r, int64_t place) {
        differentiate(dy[r], pre[r], sums);
        *reinterpret_cast<uint4*>(work.dpre + place) = dy[r];
        *reinterpret_cast<uint4*>(work.y + place) = pre[r];
      });
    }
  }
  write_sums(sums, work.partial, first, work.hidden);
}

}  // namespace

size_t gelu_gradient_partial(int64_t rows, int32_t hidden) {
  return static_cast<size_t>(chunks_of(rows, hidden)) * static_cast<size_t>(hidden);
}

void gelu_gradient(const GeluGradient& work) {
  const int32_t chunks = chunks_of(work.rows, work.hidden);
  const dim3 grid(column_tiles(work.hidden), chunks);
  differentiate_gelu<<<grid, kWarps * kWarp, 0, work.stream>>>(work);
  check_launch("gelu_gradient");
  sum_partials({.values = work.partial, .videos = 1, .chunks = chunks, .columns = work.hidden}, work.dbias,
               work.stream);
}

}  // namespace moga::kernels
