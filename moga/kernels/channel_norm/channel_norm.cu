// See channel_norm.h. Rows are short (96 … 384 channels), so a row belongs to as few lanes as hold it, 16 bytes each: two
// rows a warp at C = 96, one at 192, and from 264 on several vectors a lane. Rows follow one another, so a warp's loads do.
#include "moga/kernels/channel_norm.h"
#include "moga/kernels/device/launch.h"
#include "moga/kernels/device/vector8.cuh"

namespace moga::kernels {
namespace {

constexpr int kThreads = 256;
constexpr unsigned kAllLanes = 0xffffffffu;

// kLanes lanes a row, kVectors vectors of 8 channels a lane.
template <int kLanes, int kVectors>
__global__ void __launch_bounds__(kThreads) normalise(ChannelNorm work) {
  const int lane = threadIdx.x % kLanes;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * (kThreads / kLanes);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * (kThreads / kLanes) + threadIdx.x / kLanes;
  // Every lane makes the same number of rounds: the sums below are taken by whole warps.
  for (int64_t base = 0; base < work.tokens; base += stride) {
    const int64_t row = base + first;
    const bool valid = row < work.tokens;
    float x[kVectors][kElements] = {};
    float squares = 0;
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      const int channel = (v * kLanes + lane) * kElements;
      if (!valid || channel >= work.channels) continue;
      unpack(*reinterpret_cast<const uint4*>(work.x + row * work.channels + channel), x[v]);
#pragma unroll
      for (int i = 0; i < kElements; ++i) squares += x[v][i] * x[v][i];
    }
#pragma unroll
    for (int step = kLanes / 2; step > 0; step /= 2) squares += __shfl_xor_sync(kAllLanes, squares, step);
    const float scale = sqrtf(static_cast<float>(work.channels)) / fmaxf(sqrtf(squares), 1e-12f);
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      const int channel = (v * kLanes + lane) * kElements;
      if (!valid || channel >= work.channels) continue;
#pragma unroll
      for (int i = 0; i < kElements; ++i) {
        const float y = x[v][i] * scale * work.gamma[channel + i];
        x[v][i] = work.silu ? y / (1.0f + __expf(-y)) : y;
      }
      *reinterpret_cast<uint4*>(work.y + row * work.channels + channel) = pack(x[v]);
    }
  }
}

template <int kLanes, int kVectors>
void launch(const ChannelNorm& work) {
  constexpr int kRows = kThreads / kLanes, kMostCtas = 132 * 16;
  const int64_t ctas = (work.tokens + kRows - 1) / kRows;
  normalise<kLanes, kVectors><<<static_cast<int>(ctas < kMostCtas ? ctas : kMostCtas), kThreads, 0, work.stream>>>(work);
}

}  // namespace

void channel_norm(const ChannelNorm& work) {
  const int vectors = work.channels / kElements;
  if (vectors <= 4) launch<4, 1>(work);
  else if (vectors <= 8) launch<8, 1>(work);
  else if (vectors <= 16) launch<16, 1>(work);
  else if (vectors <= 32) launch<32, 1>(work);
  else if (vectors <= 64) launch<32, 2>(work);
  else launch<32, 4>(work);
  check_launch("channel_norm");
}

}  // namespace moga::kernels
