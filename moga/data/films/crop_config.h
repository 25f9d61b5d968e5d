// The settings of stage crop: black borders and marks that are cut off.
#pragma once

#include <cstdint>

namespace moga {

struct CropConfig {
  bool enabled = true;
  int64_t frames = 16;
  bool borders = true;
  double black = 24;
  bool marks = true;
  double min_left = 0.6;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("enabled", enabled, "false: whole pictures are used");
    field("frames", frames, "frames per shot that are looked at");
    field("borders", borders, "black borders are cut off");
    field("black", black, "largest luma (0 to 255) of a black border");
    field("marks", marks, "watermarks and subtitles that stay while the picture moves are cut off");
    field("min_left", min_left,
          "shots are dropped when less than this part of the picture (without its borders) is left");
  }
};

}  // namespace moga
