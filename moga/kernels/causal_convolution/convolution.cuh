// The convolution as a matrix product: rows are pixels of y, columns are its channels, and the sum runs over (frame of
// the kernel, 32 channels of x, row and column of the kernel). A persistent CTA processes tiles of 16 × 16 or 16 × 24
// pixels by N channels.
//
//   producer   for each frame of the kernel and 32 channels, one thread copies a box: the tile's pixels with a border
//              of one pixel, once for all 9 taps; and the weights, one row of taps at a time
//   consumers  two warpgroups with 8 columns of the tile each: 2 or 3 products of 64 pixels (8 × 8) by N for each tap
//              and 16 channels
//
// A tap is the same box read from another start pixel. The copy engine writes zeros outside a frame. Bias and residual
// are part of the float32 sums, which are rounded once.
#pragma once

#include <cuda_bf16.h>

#include "moga/kernels/bfloat16.h"
#include "moga/kernels/causal_convolution.h"
#include "moga/kernels/device/barrier.cuh"
#include "moga/kernels/device/tma.cuh"
#include "moga/kernels/device/warp.cuh"
#include "moga/kernels/device/wgmma.cuh"

namespace moga::kernels {

// In shared memory a box is [y][x][32 channels] with the 64-byte swizzle, which depends on address bits only (bits 4-5
// with bits 7-8), so any pixel may be the first of a product's 8.
inline constexpr int kPixelBytes = 2 * kConvolutionChunk;

// N channels of y; kTiles products of 64 pixels per consumer; kernels of kSide × kSide pixels.
template <int kN_, int kTiles_, int kSide_, int kBoxes_, int kSlices_>
struct ConvolutionConfig {
  static constexpr int kN = kN_, kTiles = kTiles_, kSide = kSide_;
  static constexpr int kBoxes = kBoxes_, kSlices = kSlices_;  // in shared memory
  static constexpr int kConsumers = 2;
  static constexpr int kColumns = 8 * kConsumers, kRows = 8 * kTiles;  // pixels of a tile
  static constexpr int kRim = kSide / 2;
  static constexpr int kBoxColumns = kColumns + 2 * kRim, kBoxRows = kRows + 2 * kRim;
  static constexpr int kBoxBytes = kBoxColumns * kBoxRows * kPixelBytes;
  static constexpr int kSliceElements = kSide * kConvolutionChunk * kN;  // a row of taps
  static constexpr int kSliceBytes = 2 * kSliceElements;
  static constexpr int kThreads = kWarpgroup * (kConsumers + 1);
  static constexpr int kConsumerWarps = 4 * kConsumers;
  static constexpr int kProducerRegisters = 40;
  static constexpr int kConsumerRegisters = 232;
  static_assert(kSlices > kSide);  // one consumer may be a box ahead of the other
};

template <class C>
struct alignas(1024) ConvolutionShared {
  struct alignas(1024) Box {
    uint8_t bytes[C::kBoxBytes];
  };
  Box boxes[C::kBoxes];
  alignas(128) uint8_t slices[C::kSlices][C::kSliceBytes];  // [column of the kernel][4][N][8] bf16
  Barrier box_full[C::kBoxes], box_empty[C::kBoxes];
  Barrier slice_full[C::kSlices], slice_empty[C::kSlices];
};

struct ConvolutionWork {
  const Bfloat16* weight;
  const float* bias;
  const Bfloat16* residual;
  Bfloat16* y;
  int32_t frames_in, frames_out;  // per video
  int32_t rows, columns, channels_out;
  int32_t kernel_frames, chunks, time_stride;
  int32_t channel_tiles, column_tiles, all_frames_out, items;
};

// Position of a work item. Channels and frames of the same pixels are processed close in time, so x is found in L2.
struct ConvolutionTile {
  int channel_tile, frame, first_frame_in, row, column;
};

template <class C>
__device__ __forceinline__ ConvolutionTile tile_of(const ConvolutionWork& work, int item) {
  ConvolutionTile tile;
  tile.channel_tile = item % work.channel_tiles;
  item /= work.channel_tiles;
  tile.frame = item % work.all_frames_out;
  item /= work.all_frames_out;
  tile.first_frame_in = tile.frame / work.frames_out * work.frames_in + tile.frame % work.frames_out * work.time_stride;
  tile.column = item % work.column_tiles * C::kColumns;
  tile.row = item / work.column_tiles * C::kRows;
  return tile;
}

template <class C>
__device__ __forceinline__ void init_barriers(ConvolutionShared<C>& shared) {
  for (int i = 0; i < C::kBoxes; ++i) {
    barrier_init(&shared.box_full[i], 1);
    barrier_init(&shared.box_empty[i], C::kConsumerWarps);
  }
  for (int i = 0; i < C::kSlices; ++i) {
    barrier_init(&shared.slice_full[i], 1);
    barrier_init(&shared.slice_empty[i], C::kConsumerWarps);
  }
  barrier_init_fence();
}

// Called by one thread.
template <class C>
__device__ __forceinline__ void load_operands(ConvolutionShared<C>& shared, const CUtensorMap& x,
                                              const ConvolutionWork& work) {
  Ring<C::kBoxes> box;
  Ring<C::kSlices> slice;
  const int slices = work.kernel_frames * work.chunks * C::kSide;
  for (int item = blockIdx.x; item < work.items; item += gridDim.x) {
    const ConvolutionTile tile = tile_of<C>(work, item);
    const Bfloat16* weight = work.weight + static_cast<int64_t>(tile.channel_tile) * slices * C::kSliceElements;
    for (int frame = 0; frame < work.kernel_frames; ++frame) {
      for (int chunk = 0; chunk < work.chunks; ++chunk) {
        barrier_wait(&shared.box_empty[box.stage], box.parity ^ 1, 1);
        barrier_arrive_expect(&shared.box_full[box.stage], C::kBoxBytes);
        load_box(shared.boxes[box.stage].bytes, x, &shared.box_full[box.stage], chunk * kConvolutionChunk,
                 tile.column - C::kRim, tile.row - C::kRim, tile.first_frame_in + frame);
        box.advance();
        for (int row = 0; row < C::kSide; ++row) {
          barrier_wait(&shared.slice_empty[slice.stage], slice.parity ^ 1, 2);
          barrier_arrive_expect(&shared.slice_full[slice.stage], C::kSliceBytes);
          load_bytes(shared.slices[slice.stage], weight, C::kSliceBytes, &shared.slice_full[slice.stage]);
          weight += C::kSliceElements;
          slice.advance();
        }
      }
    }
  }
}

// One consumer warpgroup: 8 columns of each tile's pixels.
template <class C>
class ConvolutionConsumer {
 public:
  __device__ __forceinline__ ConvolutionConsumer(ConvolutionShared<C>& shared, const ConvolutionWork& work)
      : shared_(shared), work_(work), consumer_(uniform(threadIdx.x / kWarpgroup - 1)) {}

  __device__ __forceinline__ void run() {
    // The second consumer starts one box later, so that stores of one overlap products of the other.
    bool first = true;
    for (int item = blockIdx.x; item < work_.items; item += gridDim.x) {
      const ConvolutionTile tile = tile_of<C>(work_, item);
      Sums sums;
      begin(sums, tile.channel_tile * C::kN);
      sum(sums, first);
      first = false;
      store(sums, tile);
    }
  }

 private:
  using Sums = float[C::kTiles][C::kN / 2];

  // Initialises the sums with the bias of the channels from `channel` on.
  __device__ __forceinline__ void begin(Sums& sums, int channel) {
#pragma unroll
    for (int j = 0; j < C::kN / 8; ++j) {
      const float2 bias = __ldg(reinterpret_cast<const float2*>(work_.bias + channel + 8 * j + threadIdx.x % 4 * 2));
#pragma unroll
      for (int m = 0; m < C::kTiles; ++m) {
        sums[m][4 * j] = sums[m][4 * j + 2] = bias.x;
        sums[m][4 * j + 1] = sums[m][4 * j + 3] = bias.y;
      }
    }
  }

  __device__ __forceinline__ void sum(Sums& sums, bool first) {
    const int boxes = work_.kernel_frames * work_.chunks;
    if (first && consumer_ == 1) named_sync(1, 2 * kWarpgroup);
#pragma unroll 1
    for (int box = 0; box < boxes; ++box) {
      barrier_wait(&shared_.box_full[box_.stage], box_.parity, 3);
#pragma unroll
      for (int row = 0; row < C::kSide; ++row) {
        barrier_wait(&shared_.slice_full[slice_.stage], slice_.parity, 4);
        issue(sums, row);
        slice_.advance();
        product_wait<1>();  // the previous row of taps is done
        if (row > 0 || box > 0) release_slice();
        if (row == 0 && box > 0) release_box();
      }
      box_.advance();
      if (first && box == 0 && consumer_ == 0) named_arrive(1, 2 * kWarpgroup);
    }
    product_wait<0>();
#pragma unroll
    for (int m = 0; m < C::kTiles; ++m) pin(sums[m]);
    release_slice();
    release_box();
  }

  // Adds one row of taps of the box to the sums.
  __device__ __forceinline__ void issue(Sums& sums, int row) {
    const uint32_t first_pixel = operand_address(shared_.boxes[box_.stage].bytes) + 8 * consumer_ * kPixelBytes;
    constexpr uint32_t kImageRow = C::kBoxColumns * kPixelBytes;
    const Operand pixels = narrow_rows(first_pixel, kImageRow);
    const Operand weights = core_matrices(operand_address(shared_.slices[slice_.stage]), C::kN * 16, 128);
    constexpr int kStep = 32;  // bytes of 16 channels
    product_fence();
#pragma unroll
    for (int column = 0; column < C::kSide; ++column) {
#pragma unroll
      for (int step = 0; step < kConvolutionChunk / 16; ++step) {
#pragma unroll
        for (int m = 0; m < C::kTiles; ++m)
          Product<C::kN>::template ss<0, 0>(
              sums[m], pixels + ((8 * m + row) * kImageRow + column * kPixelBytes + step * kStep) / 16,
              weights + (4 * column + 2 * step) * C::kN, 1);
      }
    }
    product_commit();
  }

  // Row 8i + j of a product is pixel (i, j) of its 8 × 8 square. A thread's rows have i = 2 · warp + r, j = lane / 4.
  __device__ __forceinline__ void store(const Sums& sums, const ConvolutionTile& tile) {
    const int thread = threadIdx.x % kWarpgroup;
    const int column = tile.column + 8 * consumer_ + thread % kWarp / 4;
    const int channel = tile.channel_tile * C::kN;
#pragma unroll
    for (int m = 0; m < C::kTiles; ++m) {
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int row = tile.row + 8 * m + thread / kWarp * 2 + r;
        const bool inside = row < work_.rows && column < work_.columns;
        const int64_t pixel = (static_cast<int64_t>(tile.frame) * work_.rows + row) * work_.columns + column;
        if constexpr (C::kN == 8)
          store_few(sums[m], r, inside, pixel * work_.channels_out, channel);
        else
          store_many(sums[m], r, inside, pixel * work_.channels_out, channel);
      }
    }
  }

  // 16 bytes per lane, 64 adjacent bytes per pixel: the four lanes of a pixel exchange their values.
  __device__ __forceinline__ void store_many(const float (&sums)[C::kN / 2], int r, bool inside, int64_t pixel,
                                             int channel) {
    constexpr int kBatch = 3;  // groups of 32 channels with residual loads in flight; limited by registers
    static_assert(C::kN % (32 * kBatch) == 0);
#pragma unroll
    for (int first = 0; first < C::kN / 32; first += kBatch) {
      uint4 before[kBatch] = {};
      const int mine = channel + 32 * first + threadIdx.x % 4 * 8;
      if (work_.residual != nullptr) {
#pragma unroll
        for (int g = 0; g < kBatch; ++g)
          if (inside && mine + 32 * g < work_.channels_out)
            before[g] = __ldg(reinterpret_cast<const uint4*>(work_.residual + pixel + mine + 32 * g));
      }
#pragma unroll
      for (int g = 0; g < kBatch; ++g) {
        const uint4 rest = quad_transpose(before[g].x, before[g].y, before[g].z, before[g].w);
        const auto word = [&](int i, uint32_t added) {
          return sum_pair(sums + 4 * (4 * (first + g) + i) + 2 * r, added);
        };
        const uint4 whole = quad_transpose(word(0, rest.x), word(1, rest.y), word(2, rest.z), word(3, rest.w));
        if (inside && mine + 32 * g < work_.channels_out)
          *reinterpret_cast<uint4*>(work_.y + pixel + mine + 32 * g) = whole;
      }
    }
  }

  // Eight channels: 4 bytes per lane.
  __device__ __forceinline__ void store_few(const float (&sums)[C::kN / 2], int r, bool inside, int64_t pixel,
                                            int channel) {
    if (!inside) return;
    const int64_t place = pixel + channel + threadIdx.x % 4 * 2;
    const uint32_t added =
        work_.residual == nullptr ? 0 : __ldg(reinterpret_cast<const uint32_t*>(work_.residual + place));
    *reinterpret_cast<uint32_t*>(work_.y + place) = sum_pair(sums + 2 * r, added);
  }

  // Adds two sums and a pair of bf16 values.
  static __device__ __forceinline__ uint32_t sum_pair(const float* sums, uint32_t added) {
    return bf16_pair(sums[0] + __uint_as_float(added << 16), sums[1] + __uint_as_float(added & 0xffff0000u));
  }

  __device__ __forceinline__ void release_box() {
    barrier_arrive_of_warp(&shared_.box_empty[done_box_.stage], threadIdx.x % kWarp);
    done_box_.advance();
  }
  __device__ __forceinline__ void release_slice() {
    barrier_arrive_of_warp(&shared_.slice_empty[done_slice_.stage], threadIdx.x % kWarp);
    done_slice_.advance();
  }

  ConvolutionShared<C>& shared_;
  const ConvolutionWork& work_;
  const int consumer_;
  Ring<C::kBoxes> box_, done_box_;
  Ring<C::kSlices> slice_, done_slice_;
};

template <class C>
__global__ void __launch_bounds__(C::kThreads, 1)
    causal_convolution_sm90(const __grid_constant__ CUtensorMap x, const __grid_constant__ ConvolutionWork work) {
  extern __shared__ __align__(1024) uint8_t dynamic_shared[];
  auto& shared = *reinterpret_cast<ConvolutionShared<C>*>(dynamic_shared);
  const int warp = __shfl_sync(kAllLanes, threadIdx.x / kWarp, 0);
  if (threadIdx.x == 0) {
    prefetch_map(x);
    init_barriers<C>(shared);
  }
  __syncthreads();
  if (warp < kWarpgroup / kWarp) {
    shrink_registers<C::kProducerRegisters>();
    if (threadIdx.x == 0) load_operands<C>(shared, x, work);
  } else {
    grow_registers<C::kConsumerRegisters>();
    ConvolutionConsumer<C>(shared, work).run();
  }
}

}  // namespace moga::kernels
