// See masks.h. Latent frame 0 is one pixel frame, the others are strides.frames each (core/strides.h).
#include "moga/data/story/masks.h"

#include <ATen/ATen.h>

#include <utility>

#include "moga/core/check.h"
#include "moga/data/story/render.h"

namespace moga {
namespace {

// [T, Y, X] bool → the fraction of each cell of rows × columns pixels in all T frames, [tokens].
at::Tensor coverage_of(const at::Tensor& mask, const Strides& cell) {
  const int64_t rows = mask.size(1) / cell.rows, columns = mask.size(2) / cell.columns;
  return mask.to(at::kFloat).view({mask.size(0), rows, cell.rows, columns, cell.columns}).mean({0, 2, 4}).flatten();
}

std::vector<StoryMask> empty_masks(const Story& story) {
  std::vector<StoryMask> masks{{MaskKind::kBackground, -1, {}}};
  for (int64_t person = 0; person < static_cast<int64_t>(story.persons.size()); ++person)
    for (const MaskKind kind : {MaskKind::kPerson, MaskKind::kHat, MaskKind::kShirt})
      masks.push_back({kind, person, {}});
  return masks;
}

// parts: uint8 [persons, T, Y, X], see RenderedStory.
at::Tensor pixels_of(const StoryMask& mask, const at::Tensor& parts) {
  switch (mask.kind) {
    case MaskKind::kPerson:
      return parts[mask.person] > 0;
    case MaskKind::kHat:
      return parts[mask.person] == 1 + static_cast<int64_t>(Part::hat);
    case MaskKind::kShirt:
      return parts[mask.person] == 1 + static_cast<int64_t>(Part::shirt);
    case MaskKind::kBackground:
      return parts.amax(0) == 0;
  }
  fail("mask of kind ", static_cast<int>(mask.kind));
}

}  // namespace

std::vector<StoryMask> story_masks(const Story& story, const at::Tensor& parts, const Strides& pixels_per_token) {
  check(pixels_per_token.divide(story.config.width, story.config.height), "a story of ", story.config.width, "x",
        story.config.height, " pixels has no masks for this model: width and height must be ",
        pixels_per_token.multiples());
  const int64_t frames = pixels_per_token.latent_frames(story.config.frames);
  std::vector<StoryMask> visible;
  for (StoryMask& mask : empty_masks(story)) {
    const at::Tensor pixels = pixels_of(mask, parts);  // [T, Y, X] bool
    std::vector<at::Tensor> pieces;
    for (int64_t frame = 0; frame < frames; ++frame) {
      const int64_t begin = frame == 0 ? 0 : pixels_per_token.pixel_frames(frame);
      pieces.push_back(coverage_of(pixels.slice(0, begin, pixels_per_token.pixel_frames(frame + 1)), pixels_per_token));
    }
    mask.coverage = at::cat(pieces);
    if (mask.coverage.max().item<float>() > 0) visible.push_back(std::move(mask));
  }
  return visible;
}

double best_overlap(const at::Tensor& coverage, const at::Tensor& group, int64_t groups) {
  check(coverage.sizes() == group.sizes(), "overlap: coverage of ", coverage.numel(), " tokens, groups of ",
        group.numel());
  const at::Tensor wide = coverage.to(at::kDouble);
  const at::Tensor common = at::zeros({groups}, wide.options()).index_add_(0, group, wide);
  const at::Tensor sizes = at::bincount(group, {}, groups).to(at::kDouble);
  return (common / (sizes + wide.sum() - common)).nan_to_num(0).max().item<double>();
}

}  // namespace moga
