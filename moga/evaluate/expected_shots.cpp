// See expected_shots.h.
#include "moga/evaluate/expected_shots.h"

#include <cmath>

#include "moga/core/check.h"
#include "moga/data/video/video.h"
#include "moga/pipeline/film_tags.h"

namespace moga {
namespace {

constexpr double kSameRate = 0.01;  // relative

}  // namespace

ExpectedShots shots_of_script(const Script& script, double fps, const std::string& source) {
  ExpectedShots expected{.captions = {}, .cuts = std::vector<int64_t>(), .source = source};
  for (const Shot& shot : script.shot) expected.captions.push_back(shot.caption);
  const auto rate = static_cast<double>(script.fps);
  const double scale = fps > 0 && std::abs(fps / rate - 1) > kSameRate ? fps / rate : 1;
  int64_t latent = 0;
  for (const int64_t frames : script.latent_shot_frames(kWanPixelsPerToken)) {
    if (latent > 0)
      expected.cuts->push_back(std::llround(scale * static_cast<double>(1 + kWanPixelsPerToken.frames * (latent - 1))));
    latent += frames;
  }
  return expected;
}

ExpectedShots shots_of_list(const Source& entry, const std::string& source) {
  ExpectedShots expected{.captions = entry.captions, .cuts = {}, .source = {}};
  if (!entry.cuts.empty())
    expected.cuts = entry.cuts;
  else if (entry.one_shot)
    expected.cuts = std::vector<int64_t>();
  if (!expected.captions.empty() || expected.cuts) expected.source = source;
  return expected;
}

ExpectedShots shots_in_film(const std::filesystem::path& film, double fps) {
  try {
    if (const auto script = script_in(open_video(film)->info().tags))
      return shots_of_script(*script, fps, "the film's own script");
  } catch (const Error&) {
    // Films that only film.h reads have no tags of ours.
  }
  return {};
}

}  // namespace moga
