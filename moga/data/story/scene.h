// A place of a story as layers of shapes, from the sky to the grass before the camera. A layer is drawn once a story
// as a panorama and then only moved: parallax, drifting clouds, and nearer shots cost no drawing.
#pragma once

#include <deque>
#include <vector>

#include "moga/data/story/actor.h"
#include "moga/data/story/dice.h"
#include "moga/data/story/shapes.h"

namespace moga {

constexpr float kHorizon = 0.58f;  // the height in the panorama that stays where it is when the camera comes nearer

struct Layer {
  float nearness = 0;  // 0 infinitely far, 1 where the persons are; more is before them
  float drift = 0;     // frame heights a frame
  std::vector<Shape> shapes;
};

struct Scene {
  std::deque<Layer> layers;  // from back to front; references stay valid while it grows
  Tint tint;
};

// half_width: of the panorama, in frame heights. Detail that no caption tells is drawn from `seed`.
Scene make_scene(Place place, Light light, uint64_t seed, float half_width);

// Shapes of a layer in the colours of the hour.
class Brush {
 public:
  Brush(std::vector<Shape>& shapes, const Rgb& ambient) : shapes_(shapes), ambient_(ambient) {}

  Shape& ellipse(float u, float v, float a, float b, const Rgb& colour, float angle = 0);
  Shape& box(float u, float v, float top, float bottom, float half_height, const Rgb& colour, float round = 0.004f);
  Shape& line(float u0, float v0, float u1, float v1, float from, float to, const Rgb& colour);
  // The ground from a wavy line at v down: `top` at the line, `low` at `depth` below it.
  Shape& ridge(float v, float amplitude, float frequency, float phase, int wave, const Rgb& top, const Rgb& low,
               float depth);
  Shape& glow(float u, float v, float radius, const Rgb& colour, float opacity);  // takes no ambient light

  void round_tree(Dice& dice, float u, float foot, float height, const Rgb& leaves, const Rgb& trunk);
  void pine(float u, float foot, float height, const Rgb& needles, bool snow);
  void palm(Dice& dice, float u, float foot, float height);
  void cloud(Dice& dice, float u, float v, float size, const Rgb& colour);
  void sky(const Rgb& top, const Rgb& low);  // takes no ambient light

 private:
  Shape& add(Shape shape, const Rgb& colour);
  std::vector<Shape>& shapes_;
  Rgb ambient_;
};

}  // namespace moga
