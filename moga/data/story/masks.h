// A story's exact masks on the grid of a model's tokens: which fraction of each token's pixels shows a person, a hat, a
// shirt or the background. What groups of tokens are compared with (intersection over union).
//
// Masks overlap: a person includes the own hat and shirt. The background is everything that is no person.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "moga/core/choice.h"
#include "moga/core/strides.h"
#include "moga/data/story/story.h"

namespace moga {

enum class MaskKind { kPerson, kHat, kShirt, kBackground };
template <>
inline constexpr auto kChoices<MaskKind> = std::array{
    Choice{MaskKind::kPerson, "person", "all of a person"},
    Choice{MaskKind::kHat, "hat", "a person's hat"},
    Choice{MaskKind::kShirt, "shirt", "a person's shirt, without sleeves"},
    Choice{MaskKind::kBackground, "background", "everything that is no person"},
};

struct StoryMask {
  MaskKind kind = MaskKind::kBackground;
  int64_t person = -1;  // index into Story::persons; −1: background
  at::Tensor
      coverage;  // float32 [N] in [0, 1]: the fraction of the pixels of each token, in (frame, row, column) order
};

// Those of which at least one pixel is visible. parts: of the whole story (render.h). `pixels_per_token` must divide
// the story's frames and sides.
std::vector<StoryMask> story_masks(const Story& story, const at::Tensor& parts, const Strides& pixels_per_token);

// Intersection over union of a mask with the group that overlaps it best, over all tokens of the video:
//   max_i Σ_{n in i} c_n / (|group i| + Σ_n c_n − Σ_{n in i} c_n)
// group: int64 [N] with values below `groups`, on the device of the coverage.
double best_overlap(const at::Tensor& coverage, const at::Tensor& group, int64_t groups);

}  // namespace moga
