// Private to moga/data: the video formats of video.h, and what their writers and readers share.
#pragma once

#include "moga/data/video/limits.h"
#include "moga/data/video/video.h"

namespace moga {

std::unique_ptr<VideoWriter> make_y4m_writer(const std::filesystem::path& path, int64_t width, int64_t height,
                                             double fps);
std::unique_ptr<VideoReader> open_y4m(const std::filesystem::path& path);
std::unique_ptr<VideoWriter> make_mp4_writer(const std::filesystem::path& path, int64_t width, int64_t height,
                                             double fps, const MediaTags& tags);
std::unique_ptr<VideoReader> open_with_ffmpeg(const std::filesystem::path& path);

// Checks for uint8 [T, 3, Y, X] and moves it to the CPU; throws if type or size differ.
at::Tensor checked_frames(const at::Tensor& frames, int64_t width, int64_t height, const std::filesystem::path& path);

// For files that do not name their colour matrix: BT.709 from 720 lines, BT.601 below.
inline bool is_bt709_by_height(int64_t height) { return height >= 720; }

}  // namespace moga
