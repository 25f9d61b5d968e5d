// Frames of a film at a constant rate, and the builds without FFmpeg. The reader itself is in film_ffmpeg.cpp.
#include "moga/data/video/film.h"

#include <ATen/ATen.h>

#include <cmath>

#include "moga/core/check.h"

namespace moga {
namespace {

// Containers round times to a millisecond or less; a frame this much later than asked for is the one meant.
constexpr double kRounding = 1e-3;

}  // namespace

at::Tensor sampled(FilmReader& film, double start, int64_t count, double fps) {
  film.seek(start);
  check(film.next(), "the film ends before ", start, " s");
  std::vector<at::Tensor> frames;
  for (int64_t i = 0; i < count; ++i) {
    const double time = start + static_cast<double>(i) / fps + kRounding;
    while (film.next_time() <= time) film.next();
    const bool last = std::isinf(film.next_time());
    check(!last || time <= film.time() + film.frame_seconds() + 2 * kRounding, "the film ends before ", time, " s");
    frames.push_back(film.pixels());
  }
  return at::stack(frames).permute({0, 3, 1, 2}).contiguous();
}

#ifndef MOGA_FFMPEG
FilmInfo film_info(const std::filesystem::path& path) {
  fail(path.string(), ": this build has no FFmpeg (MOGA_FFMPEG=OFF), which reading films needs");
}
std::unique_ptr<FilmReader> open_film(const std::filesystem::path& path, const FilmView&) {
  fail(path.string(), ": this build has no FFmpeg (MOGA_FFMPEG=OFF), which reading films needs");
}
#endif

}  // namespace moga
