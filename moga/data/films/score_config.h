// The settings of stage score: thresholds of the numbers in picture_scores.h. The defaults keep a normal film.
#pragma once

#include <cstdint>

namespace moga {

struct ScoreConfig {
  bool enabled = true;
  double max_black = 0.5;
  double max_still = 0.95;
  double min_luma = 6;
  double max_luma = 249;
  double min_sharpness = 1;
  double min_motion = 0;
  double max_motion = 0;
  double duplicate_bits = 2;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("enabled", enabled, "false: shots are neither scored nor dropped for their scores");
    field("max_black", max_black, "shots with a larger part of black frames are dropped");
    field("max_still", max_still, "shots in which the picture stands still for a larger part are dropped");
    field("min_luma", min_luma, "shots with a smaller mean luma (0 to 255) are dropped");
    field("max_luma", max_luma, "shots with a larger mean luma are dropped");
    field("min_sharpness", min_sharpness, "least variance of the Laplacian, at about 320 x 180 pixels");
    field("min_motion", min_motion, "least motion, in percent of the picture's height per second");
    field("max_motion", max_motion, "largest motion; 0: no limit");
    field("duplicate_bits", duplicate_bits,
          "a shot is a duplicate when the 64-bit hashes of five of its frames differ from those of an earlier shot of "
          "the same duration by at most so many bits on average; below 0: duplicates are kept");
  }
};

}  // namespace moga
