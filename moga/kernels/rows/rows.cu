// Launch sizes and the second pass of column sums for all kernels over rows.
#include "moga/kernels/device/partial_sums.cuh"
#include "moga/kernels/device/row_team.cuh"

namespace moga::kernels {
namespace {

constexpr int kCtas = 132 * 8;  // several per multiprocessor of a large GPU, which keeps chunks even
constexpr int kCtaWarps = 8;
constexpr int kSumColumns = 32, kSumLanes = 8;

__global__ void __launch_bounds__(kSumColumns* kSumLanes)
    sum_chunks(const float* partial, float* out, int chunks, int columns) {
  __shared__ float lanes[kSumLanes][kSumColumns];
  const int column = blockIdx.x * kSumColumns + threadIdx.x;
  const float* rows = partial + static_cast<int64_t>(blockIdx.y) * chunks * columns;
  float sum = 0;
  if (column < columns)
    for (int chunk = threadIdx.y; chunk < chunks; chunk += kSumLanes)
      sum += rows[static_cast<int64_t>(chunk) * columns + column];
  lanes[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || column >= columns) return;
  for (int lane = 1; lane < kSumLanes; ++lane) sum += lanes[lane][threadIdx.x];
  out[static_cast<int64_t>(blockIdx.y) * columns + column] = sum;
}

}  // namespace

RowLaunch row_launch(const RowShape& shape) {
  const int warps = row_warps(shape.columns);
  const int teams = warps < kCtaWarps ? kCtaWarps / warps : 1;
  const int64_t most = (shape.tokens + teams - 1) / teams;  // at least one row per team
  const int64_t wanted = (kCtas + shape.videos - 1) / shape.videos;
  RowLaunch launch;
  launch.chunks = static_cast<int>(wanted < most ? wanted : (most > 0 ? most : 1));
  launch.threads = teams * warps * kWarp;
  launch.shared_bytes = sizeof(float) * static_cast<size_t>(teams) * static_cast<size_t>(shape.columns);
  return launch;
}

size_t partial_sums(const RowShape& shape) {
  return static_cast<size_t>(shape.videos) * static_cast<size_t>(row_launch(shape).chunks) *
         static_cast<size_t>(shape.columns);
}

void sum_partials(const PartialSums& partial, float* out, CUstream_st* stream) {
  const dim3 grid((partial.columns + kSumColumns - 1) / kSumColumns, static_cast<unsigned>(partial.videos));
  sum_chunks<<<grid, dim3(kSumColumns, kSumLanes), 0, stream>>>(partial.values, out, partial.chunks, partial.columns);
  check_launch("sum_partials");
}

void sum_partials(const float* partial, float* out, const RowShape& shape, CUstream_st* stream) {
  sum_partials({partial, shape.videos, row_launch(shape).chunks, shape.columns}, out, stream);
}

}  // namespace moga::kernels
