// Frames of a film at a constant rate, and the builds without FFmpeg. The reader itself is in film_ffmpeg.cpp.
#include "moga/data/video/film.h"

#include <ATen/ATen.h>

#include <cmath>

#include "moga/core/check.h"

namespace moga {
namespace {

// Containers round times to a millisecond or less; a frame this much later than asked for is the one meant.
constexpr double kRounding = 1e-3;

// uint8 [Y, X, 3] → uint8 [3, Y, X]. A plain loop: ATen would start a team of threads in each thread that reads.
void to_planes(const at::Tensor& pixels, const at::Tensor& planes) {
  check(pixels.is_contiguous() && planes.is_contiguous() && pixels.numel() == planes.numel(), "a frame is ",
        pixels.sizes(), ", expected the pixels of ", planes.sizes());
  const int64_t count = pixels.numel() / 3;
  const uint8_t* from = pixels.const_data_ptr<uint8_t>();
  auto* to = planes.data_ptr<uint8_t>();
  for (int64_t i = 0; i < count; ++i)
    for (int64_t channel = 0; channel < 3; ++channel) to[channel * count + i] = from[3 * i + channel];
}

void move_to(FilmReader& film, double start) {
  film.seek(start);
  check(film.next(), "the film ends before ", start, " s");
}

void fill(FilmReader& film, double start, double fps, const at::Tensor& frames) {
  for (int64_t i = 0; i < frames.size(0); ++i) {
    const double time = start + static_cast<double>(i) / fps + kRounding;
    while (film.next_time() <= time) film.next();
    const bool last = std::isinf(film.next_time());
    check(!last || time <= film.time() + film.frame_seconds() + 2 * kRounding, "the film ends before ", time, " s");
    to_planes(film.pixels(), frames[i]);
  }
}

}  // namespace

void read_sampled(FilmReader& film, double start, double fps, const at::Tensor& frames) {
  move_to(film, start);
  fill(film, start, fps, frames);
}

at::Tensor sampled(FilmReader& film, double start, int64_t count, double fps) {
  move_to(film, start);
  const at::Tensor pixels = film.pixels();
  at::Tensor frames = at::empty({count, 3, pixels.size(0), pixels.size(1)}, at::kByte);
  fill(film, start, fps, frames);
  return frames;
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
