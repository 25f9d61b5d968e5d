// See frame_timesteps.h.
#include "moga/model/layers/frame_timesteps.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/core/check.h"

namespace moga {
namespace {

void check_given(const Layout& layout, const std::vector<std::vector<int64_t>>& given) {
  check(given.size() == layout.videos.size(), "given frames of ", given.size(), " videos, expected ",
        layout.videos.size());
  for (size_t video = 0; video < given.size(); ++video) {
    const std::vector<int64_t>& frames = given[video];
    check(std::ranges::adjacent_find(frames, std::ranges::greater_equal()) == frames.end(), "given frames of video ",
          video, " are ", at::IntArrayRef(frames), ", expected ascending ones");
    check(frames.empty() || (frames.front() >= 0 && frames.back() < layout.videos[video].frames), "given frames of ",
          "video ", video, " are ", at::IntArrayRef(frames), ", it has ", layout.videos[video].frames);
  }
}

}  // namespace

at::Tensor FrameTimesteps::of(const at::Tensor& timestep) const {
  return video.defined() ? timestep.index_select(0, video) * denoised : timestep;
}

FrameTimesteps frame_timesteps(const Layout& layout, const std::vector<std::vector<int64_t>>& given,
                               at::Device device) {
  if (given.empty()) return {.segments = video_segments(layout), .video = {}, .denoised = {}};
  check_given(layout, given);
  FrameTimesteps result;
  std::vector<int64_t> videos;
  std::vector<float> denoised;
  int64_t row = 0;
  for (size_t video = 0; video < given.size(); ++video) {
    const VideoShape& shape = layout.videos[video];
    const auto is_given = [&](int64_t frame) { return std::ranges::binary_search(given[video], frame); };
    for (int64_t begin = 0, end = 0; begin < shape.frames; begin = end) {
      while (end < shape.frames && is_given(end) == is_given(begin)) ++end;
      const int64_t rows = (end - begin) * shape.frame_tokens();
      result.segments.push_back({static_cast<int64_t>(videos.size()), 1, row, rows});
      videos.push_back(static_cast<int64_t>(video));
      denoised.push_back(is_given(begin) ? 0.0f : 1.0f);
      row += rows;
    }
  }
  result.video = at::tensor(videos, at::kLong).to(device);
  result.denoised = at::tensor(denoised).to(device);
  return result;
}

}  // namespace moga
