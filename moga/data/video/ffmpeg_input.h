// Private to moga/data: a video file opened with FFmpeg, as both readers use it: the container, its best video stream
// and a decoder of it. Only containers that hold the video themselves: a playlist would lead to other files.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "moga/data/video/ffmpeg.h"

namespace moga::ffmpeg {

struct CloseInput {
  void operator()(AVFormatContext* container) const { avformat_close_input(&container); }
};

struct Input {
  std::unique_ptr<AVFormatContext, CloseInput> container;
  AVStream* stream = nullptr;
  Owner<AVCodecContext> decoder;

  std::string tag(const char* key) const;  // of the container; empty when it has none
  // Packets that an MP4's index lists, by which a truncated file is recognised; 0 for other containers.
  int64_t packets_listed() const;
};

// Throws one line that names `source`. threads: of the decoder; 0: one per core.
Input open_input(const std::string& source, int threads);

// How stored pixels are turned for display: transposed first, then flipped.
struct Turn {
  bool transposed = false, flip_x = false, flip_y = false;
};
Turn turn_of(AVStream* stream, const std::string& source);

// swscale's deprecated yuvj formats are the plain ones in full range.
AVPixelFormat without_range(AVPixelFormat format, bool& full_range);

}  // namespace moga::ffmpeg
