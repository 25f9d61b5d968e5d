// See nearest_upsample.h.
#include "moga/model/vae/nearest_upsample.h"

#include <ATen/ATen.h>

#include "moga/attention/kernel_tensors.h"
#include "moga/model/vae/causal_convolution.h"

#ifdef MOGA_CUDA
#include <c10/core/DeviceGuard.h>

#include "moga/core/cuda_stream.h"
#include "moga/kernels/nearest_upsample.h"
#endif

namespace moga {
namespace {

bool upsample_kernel_serves([[maybe_unused]] const at::Tensor& x, [[maybe_unused]] int64_t parts) {
#ifdef MOGA_CUDA
  return x.is_cuda() && x.scalar_type() == at::kBFloat16 && !at::GradMode::is_enabled() && x.numel() > 0 &&
         x.is_contiguous(at::MemoryFormat::ChannelsLast3d) && x.size(1) % (8 * parts) == 0;
#else
  return false;
#endif
}

at::Tensor upsample_by_kernel([[maybe_unused]] const at::Tensor& x, [[maybe_unused]] int64_t parts) {
#ifdef MOGA_CUDA
  const c10::DeviceGuard guard(x.device());
  at::Tensor y = at::empty({x.size(0), x.size(1) / parts, parts * x.size(2), 2 * x.size(3), 2 * x.size(4)},
                           x.options().memory_format(at::MemoryFormat::ChannelsLast3d));
  kernels::nearest_upsample({.x = kernel_read(x),
                             .y = kernel_write(y),
                             .frames = x.size(0) * x.size(2),
                             .rows = static_cast<int32_t>(x.size(3)),
                             .columns = static_cast<int32_t>(x.size(4)),
                             .parts = static_cast<int32_t>(parts),
                             .channels = static_cast<int32_t>(y.size(1)),
                             .stream = current_cuda_stream(x.device())});
  return y;
#else
  kernels_not_compiled();
#endif
}

}  // namespace

at::Tensor nearest_upsample(const at::Tensor& x, int64_t parts) {
  if (upsample_kernel_serves(x, parts)) return upsample_by_kernel(x, parts);
  const at::Tensor images = to_images(parted_frames(x, parts));
  return to_video(at::upsample_nearest2d(images, {2 * images.size(2), 2 * images.size(3)}), x.size(0));
}

at::Tensor parted_frames(const at::Tensor& x, int64_t parts) {
  if (parts == 1) return x;
  return x
      .permute({0, 2, 3, 4, 1})  // [B, T, Y, X, parts·C]
      .unflatten(4, {parts, x.size(1) / parts})
      .permute({0, 1, 4, 2, 3, 5})  // [B, T, parts, Y, X, C]
      .flatten(1, 2)
      .permute({0, 4, 1, 2, 3});
}

}  // namespace moga
