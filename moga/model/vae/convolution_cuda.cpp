// See convolution_cuda.h.
#include "moga/model/vae/convolution_cuda.h"

#include <ATen/ATen.h>

#include "moga/attention/kernel_tensors.h"
#include "moga/core/check.h"

#ifdef MOGA_CUDA
#include <c10/core/DeviceGuard.h>

#include "moga/core/cuda_stream.h"
#include "moga/kernels/causal_convolution.h"
#include "moga/model/vae/convolution_weight.h"

namespace moga {
namespace {

// x zero-padded to a multiple of 8 channels, channels-last.
at::Tensor in_vectors(const at::Tensor& x) {
  const int64_t missing = fill_up(x.size(1), kVectorChannels);
  const at::Tensor whole = missing == 0 ? x : at::constant_pad_nd(x, {0, 0, 0, 0, 0, 0, 0, missing});
  return whole.contiguous(at::MemoryFormat::ChannelsLast3d);
}

// Checks what the kernel relies on.
void check_shapes(const ConvolutionSm90& call, at::IntArrayRef y) {
  const at::Tensor &x = call.x, &weight = call.weight, &bias = call.bias, &residual = call.residual;
  check(weight.size(1) == x.size(1) && bias.dim() == 1 && bias.size(0) == weight.size(0), "convolution sm90: x ",
        x.sizes(), ", weight ", weight.sizes(), " and bias ", bias.sizes(), " do not fit");
  check(weight.device() == x.device() && bias.device() == x.device(), "convolution sm90: x is on ", x.device(),
        ", weight on ", weight.device(), ", bias on ", bias.device());
  check(!residual.defined() || (residual.sizes() == y && residual.device() == x.device()),
        "convolution sm90: residual ", residual.defined() ? residual.sizes() : y, ", expected ", y, " on ", x.device());
}

int32_t narrow(int64_t size) { return static_cast<int32_t>(size); }

}  // namespace

std::string convolution_sm90_refuses(const at::Tensor& x, const at::Tensor& weight) {
  if (!x.is_cuda() || !kernels::causal_convolution_runs_on(x.device().index())) return "runs on compute capability 9.0";
  if (x.scalar_type() != at::kBFloat16) return "computes in bfloat16";
  if (at::GradMode::is_enabled()) return "has no gradients";
  if (weight.size(3) != weight.size(4) || (weight.size(3) != 1 && weight.size(3) != 3))
    return "has kernels of 1x1 and 3x3 pixels";
  if (x.numel() == 0) return "needs pixels";
  return "";
}

at::Tensor convolution_sm90(const ConvolutionSm90& call, ConvolutionWeight* tiled) {
  const c10::DeviceGuard guard(call.x.device());
  const at::Tensor& weight = call.weight;
  const int64_t frames_out = (call.x.size(2) - weight.size(2)) / call.time_stride + 1;
  check_shapes(call, {call.x.size(0), weight.size(0), frames_out, call.x.size(3), call.x.size(4)});
  const at::Tensor x = in_vectors(call.x);
  const at::Tensor residual = call.residual.defined() ? in_vectors(call.residual) : call.residual;
  const int64_t channels_out = weight.size(0) + fill_up(weight.size(0), kVectorChannels);
  at::Tensor y = at::empty({x.size(0), channels_out, frames_out, x.size(3), x.size(4)},
                           x.options().memory_format(at::MemoryFormat::ChannelsLast3d));
  const int32_t tile = kernels::convolution_tile_channels(narrow(channels_out), narrow(weight.size(3)));
  ConvolutionWeight once;
  const auto& [tiles, bias] = (tiled != nullptr ? *tiled : once).of(weight, call.bias, tile);
  kernels::causal_convolution({.x = kernel_read(x),
                               .weight = kernel_read(tiles),
                               .bias = bias.const_data_ptr<float>(),
                               .residual = residual.defined() ? kernel_read(residual) : nullptr,
                               .y = kernel_write(y),
                               .videos = narrow(x.size(0)),
                               .frames = narrow(x.size(2)),
                               .rows = narrow(x.size(3)),
                               .columns = narrow(x.size(4)),
                               .channels_in = narrow(x.size(1)),
                               .channels_out = narrow(channels_out),
                               .kernel_frames = narrow(weight.size(2)),
                               .kernel_side = narrow(weight.size(3)),
                               .time_stride = narrow(call.time_stride),
                               .tile_channels = tile,
                               .stream = current_cuda_stream(x.device())});
  return y.narrow(1, 0, weight.size(0));
}

}  // namespace moga

#else

namespace moga {

std::string convolution_sm90_refuses(const at::Tensor&, const at::Tensor&) { return "was built without CUDA"; }
at::Tensor convolution_sm90(const ConvolutionSm90&, ConvolutionWeight*) { kernels_not_compiled(); }

}  // namespace moga

#endif
