// Chooses the tile size and launches the kernel. See moga/kernels/causal_convolution.h.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "moga/kernels/causal_convolution.h"
#include "moga/kernels/causal_convolution/convolution.cuh"
#include "moga/kernels/device/launch.h"
#include "moga/kernels/device/tensor_map.h"

namespace moga::kernels {
namespace {

// Rings as long as 227 KiB of shared memory allow.
using Tall = ConvolutionConfig<96, 3, 3, 3, 6>;
using Square = ConvolutionConfig<96, 2, 3, 4, 6>;
using Point = ConvolutionConfig<96, 3, 1, 6, 8>;
using Few = ConvolutionConfig<8, 3, 3, 6, 8>;

int32_t ceil_div(int32_t a, int32_t b) { return (a + b - 1) / b; }

template <class C>
ConvolutionWork work_of(const CausalConvolution& call) {
  const int32_t frames_out = (call.frames - call.kernel_frames) / call.time_stride + 1;
  ConvolutionWork work = {.weight = call.weight,
                          .bias = call.bias,
                          .residual = call.residual,
                          .y = call.y,
                          .frames_in = call.frames,
                          .frames_out = frames_out,
                          .rows = call.rows,
                          .columns = call.columns,
                          .channels_out = call.channels_out,
                          .kernel_frames = call.kernel_frames,
                          .chunks = ceil_div(call.channels_in, kConvolutionChunk),
                          .time_stride = call.time_stride,
                          .channel_tiles = ceil_div(call.channels_out, C::kN),
                          .column_tiles = ceil_div(call.columns, C::kColumns),
                          .all_frames_out = call.videos * frames_out};
  const int64_t items =
      int64_t{1} * work.channel_tiles * work.column_tiles * ceil_div(call.rows, C::kRows) * work.all_frames_out;
  if (items >= int64_t{1} << 30)
    throw std::runtime_error("causal convolution: " + std::to_string(items) + " tiles, expected fewer than 2^30");
  work.items = static_cast<int32_t>(items);
  return work;
}

template <class C>
CUtensorMap box_map(const CausalConvolution& call) {
  const int64_t channels = call.channels_in, row = channels * call.columns, frame = row * call.rows;
  const int64_t frames = int64_t{1} * call.videos * call.frames;
  return tensor_map({.data = call.x,
                     .sizes = {channels, call.columns, call.rows, frames},
                     .strides = {channels, row, frame},
                     .box = {kConvolutionChunk, C::kBoxColumns, C::kBoxRows, 1},
                     .swizzle = CU_TENSOR_MAP_SWIZZLE_64B});
}

template <class C>
void launch(const CausalConvolution& call) {
  const ConvolutionWork work = work_of<C>(call);
  if (work.items == 0) return;
  launch_persistent(causal_convolution_sm90<C>, C::kThreads, sizeof(ConvolutionShared<C>), call.stream,
                    box_map<C>(call), work);
}

// Estimated time of all rounds of tiles, in products of 64 pixels by N.
template <class C>
int64_t rounds(const CausalConvolution& call, int multiprocessors) {
  return int64_t{C::kTiles} * ceil_div(work_of<C>(call).items, multiprocessors);
}

void launch_96(const CausalConvolution& call) {
  int device = 0, multiprocessors = 0;
  check_cuda(cudaGetDevice(&device), "device");
  check_cuda(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device), "device");
  rounds<Square>(call, multiprocessors) < rounds<Tall>(call, multiprocessors) ? launch<Square>(call)
                                                                              : launch<Tall>(call);
}

}  // namespace

bool causal_convolution_runs_on(int device) { return is_hopper(device); }

int32_t convolution_tile_channels(int32_t channels_out, int32_t kernel_side) {
  return channels_out <= Few::kN && kernel_side == Few::kSide ? Few::kN : Tall::kN;
}

void causal_convolution(const CausalConvolution& call) {
  if (call.kernel_side == 1 && call.tile_channels == Point::kN) return launch<Point>(call);
  if (call.kernel_side == 3 && call.tile_channels == Few::kN) return launch<Few>(call);
  if (call.kernel_side == 3 && call.tile_channels == Tall::kN) return launch_96(call);
  throw std::runtime_error("causal convolution: kernels of " + std::to_string(call.kernel_side) +
                           " pixels in tiles of " + std::to_string(call.tile_channels) +
                           " channels; supported: 1 with 96, 3 with 8 or 96");
}

}  // namespace moga::kernels
