// The VAE's convolutions for Hopper (sm_90a) on channels-last videos, with bias and residual:
//
//   y[b, t] = bias + Σ_k W_k ∗ x[b, t · stride + k] (+ residual[b, t])
//
// W_k is a kernel of 1×1 or 3×3 pixels. x is zero outside a frame; in time only the given frames are read. Input and
// output are bf16; all frames, pixels and channels are summed in one float32 accumulator. docs/kernels.md explains how
// it works. No torch: plain pointers and a stream.
#pragma once

#include <cstdint>

#include "moga/kernels/bfloat16.h"

struct CUstream_st;

namespace moga::kernels {

// Channels that are summed at a time; the weight is zero-padded to a multiple of it.
inline constexpr int32_t kConvolutionChunk = 32;

struct CausalConvolution {
  const Bfloat16* x = nullptr;  // [B, T, Y, X, C]
  // [C'/N, frames, C/32, side, side, 4, N, 8]: W[n, c] at [n / N, …, c / 32, …, c % 32 / 8, n % N, c % 8]
  const Bfloat16* weight = nullptr;
  const float* bias = nullptr;                 // [C'/N · N]
  const Bfloat16* residual = nullptr;          // [B, T', Y, X, C'], or null
  Bfloat16* y = nullptr;                       // [B, T', Y, X, C'], T' = (T − frames) / stride + 1
  int32_t videos = 0;                          // B
  int32_t frames = 0, rows = 0, columns = 0;   // T, Y, X
  int32_t channels_in = 0, channels_out = 0;   // C, C': multiples of 8
  int32_t kernel_frames = 0, kernel_side = 0;  // frames: any; side: 1 or 3
  int32_t time_stride = 1;
  int32_t tile_channels = 0;  // N: channels of y per CTA: convolution_tile_channels
  CUstream_st* stream = nullptr;
};

// Whether a device can run it (compute capability 9.0).
bool causal_convolution_runs_on(int device);
// N for C' channels and kernels of side × side pixels; the last tile is padded with zero weights.
int32_t convolution_tile_channels(int32_t channels_out, int32_t kernel_side);
// Pointers are 16-byte aligned. One launch, no host synchronisation.
void causal_convolution(const CausalConvolution& work);

}  // namespace moga::kernels
