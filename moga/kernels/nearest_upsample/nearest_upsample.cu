// See nearest_upsample.h. A CTA processes a piece of one row of x, so the row's position is computed once. A thread
// reads 16 bytes and writes them to four pixels; adjacent lanes write adjacent bytes.
#include "moga/kernels/nearest_upsample.h"

#include "moga/kernels/device/launch.h"
#include "moga/kernels/device/vector8.cuh"

namespace moga::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kVectorsEach = 4;  // per thread, approximately: enough CTAs for all multiprocessors even with 60 rows

__global__ void __launch_bounds__(kThreads) enlarge(NearestUpsample work) {
  const int vectors = work.channels / kElements;  // per pixel of y
  const int row_vectors = work.columns * work.parts * vectors;
  const int64_t row = blockIdx.x, frame = row / work.rows;
  const int64_t line = int64_t{2} * work.columns * vectors;  // of y
  const uint4* x = reinterpret_cast<const uint4*>(work.x) + row * row_vectors;
  uint4* const y = reinterpret_cast<uint4*>(work.y);
  for (int i = blockIdx.y * kThreads + threadIdx.x; i < row_vectors; i += gridDim.y * kThreads) {
    const int place = i / vectors, column = place / work.parts, part = place % work.parts;
    const int64_t y_row = (frame * work.parts + part) * 2 * work.rows + 2 * (row % work.rows);
    uint4* const to = y + y_row * line + 2 * column * vectors + i % vectors;
    const uint4 value = x[i];
    to[0] = value;
    to[vectors] = value;
    to[line] = value;
    to[line + vectors] = value;
  }
}

}  // namespace

void nearest_upsample(const NearestUpsample& work) {
  constexpr int kPiece = kThreads * kVectorsEach;
  const int row_vectors = work.columns * work.parts * (work.channels / kElements);
  const dim3 grid(static_cast<unsigned>(work.frames * work.rows), (row_vectors + kPiece - 1) / kPiece);
  enlarge<<<grid, kThreads, 0, work.stream>>>(work);
  check_launch("nearest_upsample");
}

}  // namespace moga::kernels
