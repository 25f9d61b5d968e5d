// See inspect_film.h.
#include "moga/pipeline/inspect_film.h"

#include <algorithm>
#include <numeric>

#include "moga/core/check.h"
#include "moga/data/video/film.h"

namespace moga {
namespace {

// The largest part of the film's picture around its middle that has the proportions of `size`.
Crop middle(const FilmInfo& film, PixelSize size) {
  const int64_t width = std::min(film.width, film.height * size.width / size.height);
  const int64_t height = std::min(film.height, film.width * size.height / size.width);
  return {(film.width - width) / 2, (film.height - height) / 2, width, height};
}

}  // namespace

at::Tensor film_frames(const std::filesystem::path& film, const Script& script, const Strides& pixels_per_token) {
  const std::vector<int64_t> latent = script.latent_shot_frames(pixels_per_token);
  const int64_t frames = pixels_per_token.pixel_frames(std::accumulate(latent.begin(), latent.end(), int64_t{0}));
  const PixelSize size{script.size[0], script.size[1]};
  const FilmInfo info = film_info(film);
  check(!info.hdr, film.string(), ": is in HDR, expected a film in SDR");
  const auto reader = open_film(
      film, {.width = size.width, .height = size.height, .crop = middle(info, size), .deinterlace = info.interlaced});
  try {
    return sampled(*reader, 0, frames, static_cast<double>(script.fps));
  } catch (const Error& error) {
    fail(film.string(), ": ", error.what(), ", and ", frames, " frames at ", script.fps, " fps were asked for");
  }
}

}  // namespace moga
