// Did attention carry the colours? Reads the colour of every person's hat and shirt in the frames of a video at the
// places the story's geometry gives, and compares with the story. What counts are shots whose caption does not tell
// the colours: there they can only have come from the shot that introduced the person. Chance is 1 in 8.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "moga/data/story/story.h"

namespace moga {

// One person in one shot. Colours are indices into Palette::clothes().
struct ColourReading {
  int64_t shot, person;
  int64_t first_seen_shot;                 // the shot whose caption tells this person's colours
  bool told;                               // it is this one
  bool returns;                            // the person was absent from the shot before, and has been seen earlier
  int64_t hat_predicted, shirt_predicted;  // −1: no pixel of it is in the picture
  bool hat_right, shirt_right;
  double hat_share, shirt_share;  // share of the pixels that vote for the right colour
};

// frames: uint8 [T, 3, Y, X], the whole story at its own size, on any device. Every pixel of the part's eroded mask in
// every frame away from the shot's ends votes for the palette colour whose shades (light to shadow) are nearest.
std::vector<ColourReading> measure_story(const at::Tensor& frames, const Story& story);

// Right answers over the readings of many stories.
struct ColourScore {
  int64_t shot = 0, cases = 0, hats_right = 0, shirts_right = 0;
  double accuracy() const;  // of hats and shirts together; 0 without cases
};
// By shot number, readings whose caption does not tell the colours.
std::vector<ColourScore> score_by_shot(const std::vector<ColourReading>& readings);
ColourScore score_all(const std::vector<ColourReading>& readings);  // every reading; shot = −1

}  // namespace moga
