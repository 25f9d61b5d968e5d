// Which writer and reader serve a file, and the conversion between a model's floats and a file's bytes. The formats
// themselves are in y4m.cpp and ffmpeg_*.cpp.
#include "moga/data/video/video.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/data/video/codecs.h"
#include "moga/data/video/formats.h"

namespace moga {

void check_video_path(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  check(extension == ".mp4" || extension == ".y4m", path.string(), ": cannot write '", extension,
        "' files; use .mp4 or .y4m");
  if (extension == ".mp4") {
    const VideoCodecs codecs = video_codecs();
    check(!codecs.library.empty(), path.string(), ": this build has no FFmpeg (MOGA_FFMPEG=OFF); write .y4m");
    check(codecs.writes_h264, path.string(), ": this FFmpeg has no libx264, which MP4 files need; write .y4m");
  }
  check_writable(path);
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path, ignored);
  check(extension == ".y4m" || !std::filesystem::exists(status) || std::filesystem::is_regular_file(status),
        path.string(), ": is a pipe or device, to which no MP4 can be written; write .y4m");
}

std::unique_ptr<VideoWriter> make_video_writer(const std::filesystem::path& path, int64_t width, int64_t height,
                                               double fps, [[maybe_unused]] const MediaTags& tags) {
  check(is_video_side(width) && is_video_side(height), path.string(), ": size is ", width, "x", height,
        ", expected 1 to ", kLargestSide, " pixels a side");
  check(fps > 0 && fps <= 1000, path.string(), ": fps is ", fps, ", expected above 0 and up to 1000");
  check_video_path(path);
#ifdef MOGA_FFMPEG
  if (path.extension() == ".mp4") return make_mp4_writer(path, width, height, fps, tags);
#endif
  return make_y4m_writer(path, width, height, fps);
}

std::unique_ptr<VideoReader> open_video(const std::filesystem::path& path) {
  check_regular_file(path);
  if (path.extension() == ".y4m") return open_y4m(path);
#ifdef MOGA_FFMPEG
  return open_with_ffmpeg(path);
#else
  fail(path.string(), ": this build has no FFmpeg (MOGA_FFMPEG=OFF); only .y4m can be read");
#endif
}

at::Tensor to_uint8(const at::Tensor& video) {
  check(video.dim() == 4 && video.size(0) == 3, "to_uint8: video is ", video.sizes(), ", expected [3, T, Y, X]");
  return ((video.to(at::kFloat) + 1.0) * 127.5).round().clamp(0, 255).to(at::kByte).transpose(0, 1).contiguous();
}

at::Tensor to_float(const at::Tensor& frames) {
  check(frames.dim() == 4 && frames.size(1) == 3, "to_float: frames are ", frames.sizes(), ", expected [T, 3, Y, X]");
  return (frames.to(at::kFloat) / 127.5 - 1.0).transpose(0, 1).contiguous();
}

at::Tensor checked_frames(const at::Tensor& frames, int64_t width, int64_t height, const std::filesystem::path& path) {
  const at::Tensor batch = frames.dim() == 3 ? frames.unsqueeze(0) : frames;
  check(batch.scalar_type() == at::kByte && batch.dim() == 4 && batch.size(1) == 3 && batch.size(2) == height &&
            batch.size(3) == width,
        path.string(), ": frames are ", frames.scalar_type(), " ", frames.sizes(), ", expected uint8 [T, 3, ", height,
        ", ", width, "]");
  return batch.cpu();
}

}  // namespace moga
