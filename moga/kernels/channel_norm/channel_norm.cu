// See channel_norm.h. Rows are short. Each is held by few lanes, with three vectors of 16 bytes per lane: the VAE's 96,
// 192 and 384 channels fill four, eight and sixteen lanes exactly, no lane is idle, and each has three loads in flight.
// γ stays in registers. Consecutive rows are contiguous, and so are a warp's loads.
#include "moga/kernels/channel_norm.h"

#include "moga/kernels/device/launch.h"
#include "moga/kernels/device/vector8.cuh"

namespace moga::kernels {
namespace {

constexpr int kThreads = 256;
constexpr unsigned kAllLanes = 0xffffffffu;

// An exact division would cost more than everything else here; __fdividef has an error of 2 ulp.
__device__ __forceinline__ float silu(float x) { return __fdividef(x, 1.0f + __expf(-x)); }

// kLanes lanes per row, kVectors vectors of 8 channels per lane.
template <int kLanes, int kVectors>
struct Row {
  int lane, channels;

  // Calls f(v, first channel) for those of the lane's vectors that lie within the row.
  template <class F>
  __device__ __forceinline__ void for_vectors(F f) const {
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      const int channel = (v * kLanes + lane) * kElements;
      if (channel < channels) f(v, channel);
    }
  }
};

__device__ __forceinline__ uint4 load(const Bfloat16* x) { return *reinterpret_cast<const uint4*>(x); }
__device__ __forceinline__ void store(Bfloat16* y, const uint4& value) { *reinterpret_cast<uint4*>(y) = value; }

template <int kLanes, int kVectors>
__global__ void __launch_bounds__(kThreads) normalise(ChannelNorm work) {
  const Row<kLanes, kVectors> row_of = {static_cast<int>(threadIdx.x) % kLanes, work.channels};
  float gamma[kVectors][kElements];
  row_of.for_vectors([&](int v, int channel) { unpack(load(work.gamma + channel), gamma[v]); });
  const int64_t stride = static_cast<int64_t>(gridDim.x) * (kThreads / kLanes);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * (kThreads / kLanes) + threadIdx.x / kLanes;
  // All lanes run the same number of iterations, because whole warps take part in the sums below.
  for (int64_t base = 0; base < work.tokens; base += stride) {
    const int64_t row = base + first, place = row * work.channels;
    const bool valid = row < work.tokens;
    uint4 packed[kVectors];
    if (valid) row_of.for_vectors([&](int v, int channel) { packed[v] = load(work.x + place + channel); });
    float squares = 0, x[kElements];
    if (valid)
      row_of.for_vectors([&](int v, int) {
        unpack(packed[v], x);
#pragma unroll
        for (int i = 0; i < kElements; ++i) squares += x[i] * x[i];
      });
#pragma unroll
    for (int step = kLanes / 2; step > 0; step /= 2) squares += __shfl_xor_sync(kAllLanes, squares, step);
    if (!valid) continue;
    const float scale = sqrtf(static_cast<float>(work.channels)) / fmaxf(sqrtf(squares), 1e-12f);
    row_of.for_vectors([&](int v, int channel) {
      unpack(packed[v], x);
#pragma unroll
      for (int i = 0; i < kElements; ++i) {
        x[i] *= scale * gamma[v][i];
        if (work.silu) x[i] = silu(x[i]);
      }
      const uint4 y = pack(x);
      store(work.y + place + channel, y);
      if (work.kept && row >= work.kept_from) store(work.kept + place - work.kept_from * work.channels + channel, y);
    });
  }
}

template <int kLanes, int kVectors>
void launch(const ChannelNorm& work) {
  constexpr int kRows = kThreads / kLanes, kMostCtas = 132 * 16;
  const int64_t ctas = (work.tokens + kRows - 1) / kRows;
  normalise<kLanes, kVectors>
      <<<static_cast<int>(ctas < kMostCtas ? ctas : kMostCtas), kThreads, 0, work.stream>>>(work);
}

}  // namespace

void channel_norm(const ChannelNorm& work) {
  const int vectors = work.channels / kElements;
  if (vectors <= 4)
    launch<4, 1>(work);
  else if (vectors <= 8)
    launch<4, 2>(work);
  else if (vectors <= 12)
    launch<4, 3>(work);
  else if (vectors <= 24)
    launch<8, 3>(work);
  else if (vectors <= 48)
    launch<16, 3>(work);
  else if (vectors <= 96)
    launch<32, 3>(work);
  else
    launch<32, 4>(work);
  check_launch("channel_norm");
}

}  // namespace moga::kernels
