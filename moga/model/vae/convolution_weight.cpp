// See convolution_weight.h.
#include "moga/model/vae/convolution_weight.h"

#include <ATen/ATen.h>

#include <utility>

#include "moga/kernels/causal_convolution.h"

namespace moga {
namespace {

constexpr int64_t kSummedChannels = kernels::kConvolutionChunk;

}  // namespace

int64_t fill_up(int64_t count, int64_t multiple) { return (multiple - count % multiple) % multiple; }

at::Tensor tiled_weight(const at::Tensor& weight, int64_t tile_channels) {
  const int64_t in = fill_up(weight.size(1), kSummedChannels), out = fill_up(weight.size(0), tile_channels);
  return at::constant_pad_nd(weight, {0, 0, 0, 0, 0, 0, 0, in, 0, out})
      .unflatten(1, {-1, kSummedChannels / kVectorChannels, kVectorChannels})
      .unflatten(0, {-1, tile_channels})  // [C'/N, N, C/32, 4, 8, frames, side, side]
      .permute({0, 5, 2, 6, 7, 3, 1, 4})
      .contiguous();
}

const ConvolutionWeight::Tiled& ConvolutionWeight::of(const at::Tensor& weight, const at::Tensor& bias,
                                                      int64_t tile_channels) {
  Source weight_now = source(weight, tile_channels), bias_now = source(bias, tile_channels);
  if (weight_now == weight_source_ && bias_now == bias_source_) return tiled_;
  tiled_.weight = tiled_weight(weight.to(at::kBFloat16), tile_channels);
  tiled_.bias = at::constant_pad_nd(bias.to(at::kFloat), {0, fill_up(bias.size(0), tile_channels)}).contiguous();
  weight_source_ = std::move(weight_now);
  bias_source_ = std::move(bias_now);
  return tiled_;
}

ConvolutionWeight::Source ConvolutionWeight::source(const at::Tensor& parameter, int64_t tile_channels) {
  const int64_t version = parameter.is_inference() ? 0 : parameter._version();
  return {parameter.storage().getWeakStorageImpl(), parameter.const_data_ptr(), version, tile_channels,
          parameter.scalar_type()};
}

}  // namespace moga
