// See frame_pixels.h.
#include "moga/evaluate/frame_pixels.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "moga/core/check.h"

namespace moga {
namespace {

struct ChannelStatistics {
  std::vector<double> mean, deviation;
};
const ChannelStatistics kClipStatistics = {{0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711}};
const ChannelStatistics kImageNetStatistics = {{0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}};

at::Tensor shortened(const at::Tensor& frames, int64_t side, bool bicubic) {
  check(frames.dim() == 4 && frames.size(1) == 3 && frames.scalar_type() == at::kByte && frames.numel() > 0,
        "frames are ", frames.scalar_type(), " ", frames.sizes(), ", expected uint8 [n, 3, Y, X]");
  const int64_t height = frames.size(2), width = frames.size(3), least = std::min(height, width);
  const at::Tensor values = frames.to(at::kFloat);
  if (least == side) return values;
  const std::vector<int64_t> size = {side * height / least, side * width / least};
  return bicubic ? at::upsample_bicubic2d(values, size, false) : at::upsample_bilinear2d(values, size, false);
}

at::Tensor per_channel_normalised(const at::Tensor& values, const ChannelStatistics& statistics) {
  const auto channels = [&](const std::vector<double>& numbers) {
    return at::tensor(numbers, at::kFloat).to(values.device()).view({1, 3, 1, 1});
  };
  return (values / 255.0 - channels(statistics.mean)) / channels(statistics.deviation);
}

}  // namespace

at::Tensor vbench_clip_pixels(const at::Tensor& frames, int64_t side) {
  const at::Tensor resized = shortened(frames, side, true);
  // Rounds half to even, as Python's round does.
  const auto margin = [&](int64_t size) { return std::llrint(static_cast<double>(size - side) / 2); };
  const at::Tensor middle = resized.narrow(2, margin(resized.size(2)), side).narrow(3, margin(resized.size(3)), side);
  return per_channel_normalised(middle, kClipStatistics);
}

at::Tensor vbench_dino_pixels(const at::Tensor& frames, int64_t side) {
  return per_channel_normalised(shortened(frames, side, false), kImageNetStatistics);
}

}  // namespace moga
