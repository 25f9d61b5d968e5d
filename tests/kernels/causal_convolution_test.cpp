// The VAE's convolutions for Hopper against float64 on the host.
#include "moga/kernels/causal_convolution.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/device_tensors.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

struct Case {
  int32_t videos, frames_out, rows, columns, in, out, kernel_frames, side, time_stride;
  bool residual;
};

struct Inputs {
  at::Tensor x, weight, bias, residual;  // [B, T, Y, X, C], [C', C, frames, side, side], [C'], [B, T', Y, X, C']
};

int32_t frames_in(const Case& c) { return (c.frames_out - 1) * c.time_stride + c.kernel_frames; }

Inputs draw(const Case& c) {
  const double deviation = 1 / std::sqrt(static_cast<double>(c.in * c.kernel_frames * c.side * c.side));
  return {random_on_gpu({c.videos, frames_in(c), c.rows, c.columns, c.in}),
          random_on_gpu({c.out, c.in, c.kernel_frames, c.side, c.side}, at::kBFloat16, deviation),
          random_on_gpu({c.out}, at::kFloat),
          c.residual ? random_on_gpu({c.videos, c.frames_out, c.rows, c.columns, c.out}) : at::Tensor()};
}

// x of shape [n, …] with zeros up to a multiple of `tile` along `dim`.
at::Tensor filled_up(const at::Tensor& x, int64_t dim, int64_t tile) {
  at::DimVector missing(x.sizes().begin(), x.sizes().end());
  missing[dim] = (tile - x.size(dim) % tile) % tile;
  return at::cat({x, at::zeros(missing, x.options())}, dim);
}

// [C'/N, frames, C/32, side, side, 4, N, 8], as the kernel reads it.
at::Tensor tiled(const at::Tensor& weight, int64_t tile) {
  const at::Tensor padded = filled_up(filled_up(weight, 0, tile), 1, kernels::kConvolutionChunk);
  return padded
      .view({padded.size(0) / tile, tile, padded.size(1) / 32, 4, 8, weight.size(2), weight.size(3), weight.size(4)})
      .permute({0, 5, 2, 6, 7, 3, 1, 4})
      .contiguous();
}

at::Tensor run(const Inputs& in, const Case& c) {
  const int32_t tile = kernels::convolution_tile_channels(c.out, c.side);
  const at::Tensor weight = tiled(in.weight, tile), bias = filled_up(in.bias, 0, tile);
  const at::Tensor y = unwritten({c.videos, c.frames_out, c.rows, c.columns, c.out});
  kernels::causal_convolution({.x = elements(in.x),
                               .weight = elements(weight),
                               .bias = floats(bias),
                               .residual = elements(in.residual),
                               .y = elements(y),
                               .videos = c.videos,
                               .frames = frames_in(c),
                               .rows = c.rows,
                               .columns = c.columns,
                               .channels_in = c.in,
                               .channels_out = c.out,
                               .kernel_frames = c.kernel_frames,
                               .kernel_side = c.side,
                               .time_stride = c.time_stride,
                               .tile_channels = tile});
  return y.cpu();
}

at::Tensor reference(const Inputs& in, const Case& c) {
  const at::Tensor y = at::conv3d(exact(in.x).permute({0, 4, 1, 2, 3}), exact(in.weight), exact(in.bias),
                                  at::IntArrayRef{c.time_stride, 1, 1}, at::IntArrayRef{0, c.side / 2, c.side / 2})
                           .permute({0, 2, 3, 4, 1});
  return in.residual.defined() ? y + exact(in.residual) : y;
}

// Every tile shape (96 channels tall and square, one pixel, 8 channels), frames smaller than a tile, channels that do
// not fill theirs, two videos, a stride in time, and one frame or three.
TEST(CausalConvolutionKernelGpu, IsWithinRounding) {
  MOGA_NEEDS_GPU();
  if (!kernels::causal_convolution_runs_on(0)) GTEST_SKIP() << "no Hopper GPU";
  for (const Case& c : {Case{1, 1, 1, 1, 8, 8, 3, 3, 1, true},
                        {1, 2, 8, 8, 32, 96, 3, 3, 1, false},
                        {2, 2, 17, 9, 40, 96, 3, 3, 1, true},
                        {1, 1, 30, 52, 96, 192, 3, 3, 1, true},
                        {1, 1, 60, 104, 32, 384, 1, 3, 1, false},
                        {2, 2, 17, 9, 96, 8, 3, 3, 1, true},
                        {1, 2, 30, 52, 96, 8, 3, 3, 1, false},
                        {2, 2, 17, 9, 64, 136, 3, 1, 1, false},
                        {1, 3, 30, 52, 96, 96, 3, 1, 2, true},
                        {1, 1, 1, 1, 8, 40, 1, 1, 1, false}}) {
    SCOPED_TRACE(std::to_string(c.in) + " to " + std::to_string(c.out) + " channels, " + std::to_string(c.rows) +
                 " x " + std::to_string(c.columns) + ", side " + std::to_string(c.side));
    const Inputs in = draw(c);
    EXPECT_TRUE(rounded_from(run(in, c), reference(in, c)));
  }
}

}  // namespace
}  // namespace moga::test
