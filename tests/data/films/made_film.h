// Films for the tests of stages: textured random pictures, moved, marked and written as MP4.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <vector>

#include "moga/core/random.h"
#include "moga/data/films/manifest.h"
#include "moga/data/video/film.h"
#include "moga/data/video/video.h"

namespace moga::test {

inline constexpr int64_t kFilmWidth = 320, kFilmHeight = 176;

// float [3, 176, 640], twice as wide as a frame, so that a camera can pan over it.
inline at::Tensor scene(uint64_t seed) {
  const auto layer = [&](const char* name, int64_t down) {
    return at::upsample_bilinear2d(at::rand({1, 3, kFilmHeight / down, 2 * kFilmWidth / down},
                                            random_stream(seed, name), at::TensorOptions(at::kFloat)),
                                   {kFilmHeight, 2 * kFilmWidth}, false);
  };
  return (layer("smooth", 44) * 120 + layer("texture", 4) * 90 + 20)[0];
}

// `count` frames whose camera moves `step` pixels to the right per frame.
inline std::vector<at::Tensor> pan(const at::Tensor& scene, int64_t count, int64_t step) {
  std::vector<at::Tensor> frames;
  for (int64_t i = 0; i < count; ++i) frames.push_back(scene.slice(2, i * step, i * step + kFilmWidth).clone());
  return frames;
}

inline void write_film(const std::filesystem::path& path, const std::vector<at::Tensor>& frames, double fps = 16) {
  std::filesystem::create_directories(path.parent_path());
  const auto writer = make_video_writer(path, frames.front().size(2), frames.front().size(1), fps);
  for (const at::Tensor& frame : frames) writer->write(frame.round().clamp(0, 255).to(at::kByte));
  writer->finish();
}

inline std::vector<at::Tensor> joined(std::vector<at::Tensor> a, const std::vector<at::Tensor>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Lines of probe.jsonl and cut.jsonl.
inline Record film_line(int64_t film, const std::filesystem::path& path) {
  const FilmInfo info = film_info(path);
  return {{"film", film},          {"path", path.string()}, {"captions", Record::array()}, {"width", info.width},
          {"height", info.height}, {"fps", info.fps},       {"seconds", info.seconds},     {"interlaced", false}};
}

inline Record shot_line(int64_t film, int64_t shot, double start, double end) {
  return {{"film", film}, {"shot", shot}, {"start", start}, {"end", end}};
}

}  // namespace moga::test
