// Measures whether attention carried colours between shots. Reads the colour of every person's hat and shirt in the
// frames of a video, at the positions given by the story's geometry, and compares it with the story. Only shots whose
// caption does not mention the colours count: there they must come from the shot that introduced the person. Chance is
// 1 in 8.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "moga/data/story/story.h"

namespace moga {

// One person in one shot. Colours are indices into Palette::clothes().
struct ColourReading {
  int64_t shot, person;
  int64_t first_seen_shot;                 // the shot whose caption mentions this person's colours
  bool told;                               // this is that shot
  bool returns;                            // absent from the previous shot, but seen before it
  int64_t hat_predicted, shirt_predicted;  // −1: no pixel of it is visible
  bool hat_right, shirt_right;
  double hat_share, shirt_share;  // fraction of pixels that vote for the right colour
};

// frames: uint8 [T, 3, Y, X], the whole story at its own size, on any device. Every pixel of a part's eroded mask
// votes, in every frame away from the shot's ends, for the palette colour whose shades (light to shadow) are nearest.
std::vector<ColourReading> measure_story(const at::Tensor& frames, const Story& story);

// Correct readings over many stories.
struct ColourScore {
  int64_t shot = 0, cases = 0, hats_right = 0, shirts_right = 0;
  double accuracy() const;  // of hats and shirts together; 0 if there are none
};
// Scores by shot number, over readings whose caption does not mention the colours.
std::vector<ColourScore> score_by_shot(const std::vector<ColourReading>& readings);
ColourScore score_all(const std::vector<ColourReading>& readings);  // every reading; shot = −1

}  // namespace moga
