// Films as cameras, editors and broken disks leave them, for tests: written by FFmpeg's encoders and muxers.
//
// Every frame shows the colour kOddColour under a texture that moves, in the film's own matrix, range and depth, so
// that a test can tell whether its colours are understood. Damage is done to the finished file.
#pragma once

extern "C" {
#include <libavutil/pixfmt.h>
#include <libavutil/rational.h>
}

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace moga::test {

inline constexpr std::array<double, 3> kOddColour = {180, 90, 60};  // RGB, mean over a frame

struct OddFilm {
  std::string codec = "libx264", codec_options = "", muxer_options = "";  // key=value:key=value
  AVPixelFormat format = AV_PIX_FMT_YUV420P;
  int width = 128, height = 96, frames = 50;
  AVRational pixel_aspect = {1, 1};
  AVColorSpace matrix = AVCOL_SPC_UNSPECIFIED;
  AVColorRange range = AVCOL_RANGE_UNSPECIFIED;
  AVColorPrimaries primaries = AVCOL_PRI_UNSPECIFIED;
  AVColorTransferCharacteristic transfer = AVCOL_TRC_UNSPECIFIED;
  bool interlaced = false;
  bool picture = true, cover = false, sound = false;       // streams; a cover is a still picture next to sound
  std::array<int32_t, 4> turn = {1 << 16, 0, 0, 1 << 16};  // a, b, c, d of the display matrix
  std::function<int64_t(int64_t)> time = [](int64_t i) { return 40 * i; };  // milliseconds of frame i
};
// The container is that of the path's extension.
void write_odd_film(const std::filesystem::path& path, const OddFilm& film);

}  // namespace moga::test
