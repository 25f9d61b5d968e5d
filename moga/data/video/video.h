// Reads and writes video files as uint8 frames [T, 3, Y, X] (RGB). Videos are written frame by frame, so memory does
// not grow with duration. MP4 (H.264, yuv420p, BT.709 limited range, tagged) through FFmpeg's libraries; .y4m without
// them. A reader applies the rotation that a file asks for, and opens only the file that it was given.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>

#include "moga/data/video/tags.h"

namespace moga {

struct VideoInfo {
  int64_t width = 0, height = 0;
  double fps = 0;
  int64_t frames = 0;  // 0 if the container does not say
  MediaTags tags = {};
};

class VideoWriter {
 public:
  virtual ~VideoWriter() = default;
  virtual void write(const at::Tensor& frames) = 0;  // uint8 [T, 3, Y, X] or [3, Y, X], any device
  // Completes the file under its final name. Without this call the destructor removes it.
  virtual void finish() = 0;
};
// Throws if no writer supports the extension or the file could not be written. Call it before long work.
void check_video_path(const std::filesystem::path& path);
// By extension: .mp4 or .y4m, which has no place for tags.
std::unique_ptr<VideoWriter> make_video_writer(const std::filesystem::path& path, int64_t width, int64_t height,
                                               double fps, const MediaTags& tags = {});

class VideoReader {
 public:
  virtual ~VideoReader() = default;
  virtual VideoInfo info() const = 0;
  // The next `count` frames; fewer at the end of the video, [0, 3, Y, X] after it.
  virtual at::Tensor read(int64_t count) = 0;
};
std::unique_ptr<VideoReader> open_video(const std::filesystem::path& path);

// [-1, 1] float [3, T, Y, X] ↔ uint8 [T, 3, Y, X].
at::Tensor to_uint8(const at::Tensor& video);
at::Tensor to_float(const at::Tensor& frames);

}  // namespace moga
