// A place of a story as layers of shapes, from the sky to the grass in front of the camera. Each layer is drawn once
// per story as a panorama and then only moved, so parallax, drifting clouds and closer shots need no further drawing.
#pragma once

#include <deque>
#include <vector>

#include "moga/data/story/actor.h"
#include "moga/data/story/dice.h"
#include "moga/data/story/shapes.h"

namespace moga {

constexpr float kHorizon = 0.58f;  // height in the panorama that stays fixed when the camera comes closer

struct Layer {
  float nearness = 0;  // 0: infinitely far; 1: where the persons are; above 1: in front of them
  float drift = 0;     // frame heights per frame
  std::vector<Shape> shapes;
};

struct Scene {
  std::deque<Layer> layers;  // from back to front; references stay valid while it grows
  Tint tint;
};

// half_width: half the width of the panorama, in frame heights. Detail that no caption mentions depends on `seed`.
Scene make_scene(Place place, Light light, uint64_t seed, float half_width);

// Adds shapes to a layer in the colours of the light.
class Brush {
 public:
  Brush(std::vector<Shape>& shapes, const Rgb& ambient) : shapes_(shapes), ambient_(ambient) {}

  Shape& ellipse(float u, float v, float a, float b, const Rgb& colour, float angle = 0);
  Shape& box(float u, float v, float top, float bottom, float half_height, const Rgb& colour, float round = 0.004f);
  Shape& line(float u0, float v0, float u1, float v1, float from, float to, const Rgb& colour);
  // The ground below a wavy line at v: colour `top` at the line, `low` from `depth` below it.
  Shape& ridge(float v, float amplitude, float frequency, float phase, int wave, const Rgb& top, const Rgb& low,
               float depth);
  Shape& glow(float u, float v, float radius, const Rgb& colour, float opacity);  // not affected by ambient light

  void round_tree(Dice& dice, float u, float foot, float height, const Rgb& leaves, const Rgb& trunk);
  void pine(float u, float foot, float height, const Rgb& needles, bool snow);
  void palm(Dice& dice, float u, float foot, float height);
  void cloud(Dice& dice, float u, float v, float size, const Rgb& colour);
  void sky(const Rgb& top, const Rgb& low);  // not affected by ambient light

 private:
  Shape& add(Shape shape, const Rgb& colour);
  std::vector<Shape>& shapes_;
  Rgb ambient_;
};

}  // namespace moga
