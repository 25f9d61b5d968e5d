// Reads colours: a pixel votes for the palette colour whose line from shadow to light, as rendered under the story's
// light, is nearest in sRGB. Synchronises host and device; no model is involved.
#include "moga/data/story/measure.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/core/check.h"
#include "moga/data/limits.h"
#include "moga/data/story/actor.h"
#include "moga/data/story/render.h"

namespace moga {
namespace {

using at::Tensor;

struct Vote {
  int64_t colour = -1;
  double share = 0;
};

// The frames of a shot that are measured. A latent frame or two at each end are left out, where a cut may bleed.
std::pair<int64_t, int64_t> steady_frames(const StoryShot& shot) {
  const int64_t latent = (shot.frames + kLatentStride - 1) / kLatentStride;
  const int64_t margin = std::min(latent >= 8   ? 2 * kLatentStride
                                  : latent >= 3 ? kLatentStride
                                                : 0,
                                  (shot.frames - 1) / 2);
  return {shot.first_frame + margin, shot.first_frame + shot.frames - margin};
}

// The mask without a border of `radius` pixels, or the whole mask if almost nothing would be left.
Tensor eroded(const Tensor& mask, int64_t radius) {
  const Tensor outside = at::logical_not(mask).to(at::kFloat).unsqueeze(1);
  const Tensor grown = at::max_pool2d(outside, {2 * radius + 1, 2 * radius + 1}, {1, 1}, {radius, radius}).squeeze(1);
  const Tensor inner = grown < 0.5;
  return inner.sum().item<int64_t>() * 10 >= mask.sum().item<int64_t>() ? inner : mask;
}

// Squared distances [N, 8] of pixels [N, 3] to the line between the shades of each palette colour.
Tensor distance_to_shades(const Tensor& pixels, const Tint& tint) {
  const auto& palette = Palette::clothes();
  const Tensor light = at::empty({static_cast<int64_t>(palette.size()), 3}, at::kFloat), dark = at::empty_like(light);
  for (size_t i = 0; i < palette.size(); ++i) {
    const Tones tones = tones_of(palette[i].rgb, tint);
    std::copy_n(tones.light.data(), 3, light.data_ptr<float>() + 3 * i);
    std::copy_n(tones.dark.data(), 3, dark.data_ptr<float>() + 3 * i);
  }
  const Tensor base = dark.to(pixels.device()), span = light.to(pixels.device()) - base;
  const Tensor offset = pixels.unsqueeze(1) - base;  // [N, 8, 3]
  const Tensor along = ((offset * span).sum(-1) / span.square().sum(-1)).clamp(0, 1);
  return (offset - along.unsqueeze(-1) * span).square().sum(-1);
}

Vote vote(const Tensor& frames, const Tensor& mask, const Tint& tint, int64_t expected) {
  const int64_t radius = std::max<int64_t>(1, mask.size(1) / 128);
  const Tensor pixels = frames.permute({0, 2, 3, 1}).index({eroded(mask, radius)}).to(at::kFloat) / 255;  // [N, 3]
  if (pixels.size(0) == 0) return {};
  const Tensor nearest = distance_to_shades(pixels, tint).argmin(1);
  const Tensor votes =
      at::bincount(nearest, {}, static_cast<int64_t>(Palette::clothes().size())).to(at::kCPU, at::kDouble);
  return {.colour = votes.argmax().item<int64_t>(),
          .share = votes[expected].item<double>() / static_cast<double>(pixels.size(0))};
}

ColourReading read_colours(const Tensor& frames, const Tensor& parts, const Story& story, int64_t shot,
                           int64_t person) {
  const Person& looks = story.persons[static_cast<size_t>(person)];
  const Tint tint = tint_of(story.light);
  const auto votes_for = [&](Part part, int64_t expected) {
    return vote(frames, parts[person] == 1 + static_cast<int64_t>(part), tint, expected);
  };
  const Vote hat = votes_for(Part::hat, looks.hat_colour), shirt = votes_for(Part::shirt, looks.shirt_colour);
  const int64_t first = story.first_shot(person);
  const bool before = shot > 0 && std::ranges::count(story.shots[static_cast<size_t>(shot - 1)].persons, person) > 0;
  return {.shot = shot,
          .person = person,
          .first_seen_shot = first,
          .told = first == shot,
          .returns = first < shot && !before,
          .hat_predicted = hat.colour,
          .shirt_predicted = shirt.colour,
          .hat_right = hat.colour == looks.hat_colour,
          .shirt_right = shirt.colour == looks.shirt_colour,
          .hat_share = hat.share,
          .shirt_share = shirt.share};
}

void count(ColourScore& score, const ColourReading& reading) {
  ++score.cases;
  score.hats_right += reading.hat_right;
  score.shirts_right += reading.shirt_right;
}

}  // namespace

std::vector<ColourReading> measure_story(const Tensor& frames, const Story& story) {
  const StoryConfig& config = story.config;
  check(frames.scalar_type() == at::kByte &&
            frames.sizes() == at::IntArrayRef({config.frames, 3, config.height, config.width}),
        "frames of a story: ", frames.scalar_type(), " ", frames.sizes(), ", expected uint8 [", config.frames, ", 3, ",
        config.height, ", ", config.width, "]");
  std::vector<ColourReading> readings;
  for (size_t shot = 0; shot < story.shots.size(); ++shot) {
    if (story.shots[shot].persons.empty()) continue;
    const auto [begin, end] = steady_frames(story.shots[shot]);
    const Tensor parts = render_story(story, frames.device(), true, begin, end).parts;
    for (const int64_t person : story.shots[shot].persons)
      readings.push_back(read_colours(frames.slice(0, begin, end), parts, story, static_cast<int64_t>(shot), person));
  }
  return readings;
}

double ColourScore::accuracy() const {
  return cases == 0 ? 0 : static_cast<double>(hats_right + shirts_right) / static_cast<double>(2 * cases);
}

std::vector<ColourScore> score_by_shot(const std::vector<ColourReading>& readings) {
  std::vector<ColourScore> scores;
  for (const ColourReading& reading : readings) {
    while (static_cast<int64_t>(scores.size()) <= reading.shot)
      scores.push_back({.shot = static_cast<int64_t>(scores.size())});
    if (!reading.told) count(scores[static_cast<size_t>(reading.shot)], reading);
  }
  return scores;
}

ColourScore score_all(const std::vector<ColourReading>& readings) {
  ColourScore score{.shot = -1};
  for (const ColourReading& reading : readings) count(score, reading);
  return score;
}

}  // namespace moga
