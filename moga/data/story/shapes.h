// Signed-distance shapes painted onto pictures, each within its bounding box.
//
// Lengths are in frame heights, u to the right of the picture's middle, v down from its top. Coverage is
// clamp(1/2 − distance / softness), colour runs from `dark` to `light`:
//
//   colour = dark + m · (light − dark)
//   m = shade[0] + shade[1]·u + shade[2]·v − rim · clamp(1 + distance / rim_width)
//
// Knows nothing about persons and places.
#pragma once

#include <vector>

#include "moga/data/story/picture.h"
#include "moga/data/story/story.h"

namespace moga {

enum class Form { ellipse, capsule, box, ridge };

struct Shape {
  Form form = Form::ellipse;
  float u = 0, v = 0, angle = 0;  // the shape's own axes: origin (u, v), rotated clockwise by `angle` radians
  // ellipse: radii a, b. capsule: from the origin to (a, 0), radius b there and c at its end.
  // box: half widths a at the top and b at the bottom, half height c, corner radius `round`.
  // ridge: everything below v − a·wave(b·u + c); `round` selects the wave: 0 smooth, 1 peaks, 2 bumps.
  float a = 0, b = 0, c = 0, round = 0;
  float cut = 1e3f;    // keeps only points whose y in the shape's axes is at most this
  float softness = 0;  // width of the edge in addition to antialiasing
  float opacity = 1;
  Rgb light{}, dark{};
  float shade[3] = {1, 0, 0};
  float rim = 0, rim_width = 1;
  int64_t person = -1, part = 0;  // the value written to `parts`: 1 + Part, for this person
};

// Light from the upper left: across the shape's extent m goes from mid − strength to mid + strength.
void shade_across(Shape& shape, float mid = 0.5f, float strength = 0.5f, float rim = 0.0f);
// m = 0 at height `top`, 1 at `bottom`: shape.dark above, shape.light below.
void shade_down(Shape& shape, float top, float bottom);

struct Canvas {
  Picture& picture;
  float left = 0;            // u of the left edge of column 0
  int64_t first_column = 0;  // index of the picture's first column
  uint8_t* parts = nullptr;  // [persons, Y, X] with person_stride between persons, or null
  int64_t persons = 0, person_stride = 0;
};

// Paints the shapes in the given order.
void paint(const Canvas& canvas, const std::vector<Shape>& shapes);

}  // namespace moga
