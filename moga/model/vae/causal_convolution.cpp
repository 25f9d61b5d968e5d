// See causal_convolution.h.
#include "moga/model/vae/causal_convolution.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <array>

#include "moga/core/check.h"
#include "moga/model/vae/convolution_cuda.h"
#include "moga/model/vae/convolution_weight.h"

namespace moga {
namespace {

std::array<int64_t, 2> padding_of(const at::Tensor& weight) { return {weight.size(3) / 2, weight.size(4) / 2}; }

int64_t frames_out(const at::Tensor& x, const at::Tensor& weight, int64_t time_stride) {
  return (x.size(2) - weight.size(2)) / time_stride + 1;
}

at::Tensor in_volume(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t time_stride) {
  const auto [rows, columns] = padding_of(weight);
  return at::conv3d(x, weight, bias, {time_stride, 1, 1}, at::IntArrayRef{0, rows, columns});
}

at::Tensor in_planes(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t time_stride) {
  const int64_t last = (frames_out(x, weight, time_stride) - 1) * time_stride;
  at::Tensor sum;
  for (int64_t k = 0; k < weight.size(2); ++k) {
    const at::Tensor images = to_images(x.slice(2, k, k + last + 1, time_stride));
    const at::Tensor plane =
        at::conv2d(images, weight.select(2, k), k == 0 ? bias : at::Tensor(), {1, 1}, padding_of(weight));
    sum = sum.defined() ? sum.add_(plane) : plane;
  }
  return to_video(sum, x.size(0));
}

at::Tensor in_stack(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t time_stride) {
  const at::Tensor stacked = x.unfold(2, weight.size(2), time_stride)  // [B, C, T', Y, X, k]
                                 .permute({0, 2, 3, 4, 5, 1})          // [B, T', Y, X, k, C]
                                 .flatten(4, 5)
                                 .flatten(0, 1)
                                 .permute({0, 3, 1, 2});           // [B·T', k·C, Y, X], channels-last
  const at::Tensor kernel = weight.transpose(1, 2).flatten(1, 2);  // [C', k·C, rows, columns]
  return to_video(at::conv2d(stacked, kernel, bias, {1, 1}, padding_of(weight)), x.size(0));
}

at::Tensor by_way(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t time_stride,
                  ConvolutionWay way) {
  if (way == ConvolutionWay::planes) return in_planes(x, weight, bias, time_stride);
  if (way == ConvolutionWay::stacked) return in_stack(x, weight, bias, time_stride);
  return in_volume(x, weight, bias, time_stride);
}

bool by_sm90(const at::Tensor& x, const at::Tensor& weight, ConvolutionWay way) {
  if (way != ConvolutionWay::automatic && way != ConvolutionWay::sm90) return false;
  const std::string reason = convolution_sm90_refuses(x, weight);
  check(reason.empty() || way == ConvolutionWay::automatic, "convolution sm90 ", reason, ", got x ", x.scalar_type(),
        " ", x.sizes(), " on ", x.device(), ", weight ", weight.sizes());
  return reason.empty();
}

// oneDNN's float32 3D convolution falls back to a path many times slower unless channels divide by 32.
ConvolutionWay chosen(ConvolutionWay way, const at::Tensor& x) {
  if (way != ConvolutionWay::automatic) return way;
  return x.is_cpu() && x.scalar_type() != at::kBFloat16 ? ConvolutionWay::planes : ConvolutionWay::volume;
}

// Pads dimension `dim` with zeros to `channels`.
at::Tensor padded(const at::Tensor& x, int64_t dim, int64_t missing) {
  if (missing == 0) return x;
  std::vector<int64_t> padding(2 * (x.dim() - dim), 0);
  padding.back() = missing;
  return at::constant_pad_nd(x, padding);
}

// The ways of the library.
at::Tensor by_library(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      const ConvolutionOptions& options) {
  const int64_t in = fill_up(weight.size(1), kVectorChannels), out = fill_up(weight.size(0), kVectorChannels);
  const bool aligned = in == 0 && out == 0;
  const ConvolutionWay way = chosen(options.way, x);
  if (aligned || !x.is_cuda() || x.element_size() > 2 || at::GradMode::is_enabled())
    return by_way(x, weight, bias, options.time_stride, way);
  // With three colour channels in or out, cuDNN does not use the matrix units.
  const at::Tensor y =
      by_way(padded(x, 1, in), padded(padded(weight, 1, in), 0, out), padded(bias, 0, out), options.time_stride, way);
  return y.narrow(1, 0, weight.size(0));
}

}  // namespace

at::Tensor causal_convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                              const ConvolutionOptions& options) {
  if (x.size(2) < weight.size(2)) return x.new_empty({x.size(0), weight.size(0), 0, x.size(3), x.size(4)});
  if (by_sm90(x, weight, options.way))
    return convolution_sm90({x, weight, bias, options.residual, options.time_stride}, options.tiled);
  const at::Tensor y = by_library(x, weight.to(x.scalar_type()), bias.to(x.scalar_type()), options);
  return options.residual.defined() ? y + options.residual : y;
}

at::Tensor to_images(const at::Tensor& video) { return video.transpose(1, 2).flatten(0, 1); }

at::Tensor to_video(const at::Tensor& images, int64_t batch) {
  return images.unflatten(0, {batch, images.size(0) / batch}).transpose(1, 2);
}

}  // namespace moga
