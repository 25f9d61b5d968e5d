// Persons as shapes, from back to front: shadow, far arm, long hair, legs, body, near arm, head, face, hat.
#include "moga/data/story/actor.h"

#include <algorithm>
#include <cmath>

#include "moga/data/story/render.h"

namespace moga {
namespace {

const Rgb kShoes = {0.24f, 0.18f, 0.17f}, kInk = {0.13f, 0.10f, 0.12f}, kWhite = {1, 1, 1};
const Rgb kBlush = {0.95f, 0.42f, 0.38f}, kMouth = {0.62f, 0.20f, 0.20f};
constexpr float kHeadY = 0.80f;

Rgb scaled(const Rgb& colour, float by) { return {colour[0] * by, colour[1] * by, colour[2] * by}; }

// Draws in the person's own coordinates: x to the right, y up from the feet, height 1.
class Figure {
 public:
  Figure(std::vector<Shape>& shapes, int64_t person, const Pose& pose, const Tint& tint)
      : shapes_(shapes), person_(person), pose_(pose), tint_(tint) {}

  Shape& ellipse(Part part, float x, float y, float a, float b, const Rgb& colour, float angle = 0) {
    return add({.form = Form::ellipse, .u = u(x), .v = v(y), .angle = angle, .a = a * s(), .b = b * s()}, part, colour);
  }
  Shape& box(Part part, float x, float y, float top, float bottom, float half_height, float round, const Rgb& colour,
             float angle = 0) {
    return add({.form = Form::box,
                .u = u(x),
                .v = v(y),
                .angle = angle,
                .a = top * s(),
                .b = bottom * s(),
                .c = half_height * s(),
                .round = round * s()},
               part, colour);
  }
  // Draws from (x, y) over `length` at `angle` from straight down towards the right; returns the end point.
  std::pair<float, float> limb(Part part, float x, float y, float length, float angle, float from, float to,
                               const Rgb& colour) {
    add({.form = Form::capsule,
         .u = u(x),
         .v = v(y),
         .angle = 1.5707963f - angle,
         .a = length * s(),
         .b = from * s(),
         .c = to * s()},
        part, colour);
    return {x + length * std::sin(angle), y - length * std::cos(angle)};
  }
  // Keeps the part above the shape's own axis shifted down by `below`, and shades it again.
  static void keep_top(Shape& shape, float below = 0) {
    shape.cut = below;
    shade_across(shape, 0.55f, 0.5f, 0.25f);
  }
  static void flat(Shape& shape, float opacity = 1, float softness = 0) {
    shape.shade[0] = 1, shape.shade[1] = shape.shade[2] = 0, shape.rim = 0;
    shape.opacity = opacity, shape.softness = softness;
  }
  float s() const { return pose_.scale; }
  float u(float x) const { return pose_.u + s() * x; }
  float v(float y) const { return pose_.v - s() * (y + pose_.lift); }

 private:
  Shape& add(Shape shape, Part part, const Rgb& colour) {
    const Tones tones = tones_of(colour, tint_);
    shape.light = tones.light, shape.dark = tones.dark;
    shape.person = person_, shape.part = 1 + static_cast<int64_t>(part);
    shade_across(shape, 0.55f, 0.45f, 0.3f);
    return shapes_.emplace_back(shape);
  }

  std::vector<Shape>& shapes_;
  int64_t person_;
  const Pose& pose_;
  const Tint& tint_;
};

struct Colours {
  Rgb hat, hair, skin, shirt, trousers;
};

void draw_shadow(std::vector<Shape>& shapes, const Pose& pose, const Tint& tint) {
  const float rise = 1 - 2.2f * pose.lift;  // the higher the jump, the fainter and smaller
  Shape shadow{.form = Form::ellipse,
               .u = pose.u + 0.07f * pose.scale,
               .v = pose.v - 0.012f * pose.scale,
               .a = 0.23f * pose.scale * rise,
               .b = 0.042f * pose.scale * rise};
  shadow.light = shadow.dark = {0.09f, 0.08f, 0.16f};
  shadow.softness = 0.035f * pose.scale;
  shadow.opacity = pose.shadow ? tint.shadow * rise : 0.0f;
  shapes.push_back(shadow);
}

void draw_arm(Figure& figure, const Pose& pose, int side, const Colours& colours) {
  const float outwards = side == 0 ? -1.0f : 1.0f;
  const float sign = pose.swings ? 1.0f : outwards;
  const float x = outwards * 0.118f * (1 - 0.25f * std::abs(pose.facing)), y = 0.60f + pose.bob - 0.33f * pose.crouch;
  const float upper = sign * pose.arm[side], lower = sign * (pose.arm[side] + pose.elbow[side]);
  const Rgb sleeve = scaled(colours.shirt, 0.93f);
  const auto [ex, ey] = figure.limb(Part::arms, x, y, 0.135f, upper, 0.047f, 0.039f, sleeve);
  const auto [hx, hy] = figure.limb(Part::arms, ex, ey, 0.105f, lower, 0.039f, 0.034f, sleeve);
  figure.ellipse(Part::arms, hx + 0.025f * std::sin(lower), hy - 0.025f * std::cos(lower), 0.037f, 0.037f,
                 colours.skin);
}

void draw_leg(Figure& figure, const Pose& pose, int side, float hip, const Rgb& colour) {
  const float outwards = side == 0 ? -1.0f : 1.0f, length = 0.155f * (1 - pose.crouch);
  const float x = outwards * 0.058f * (1 - 0.4f * std::abs(pose.facing));
  const auto [kx, ky] = figure.limb(Part::trousers, x, hip, length, pose.thigh[side], 0.062f, 0.052f, colour);
  const auto [fx, fy] = figure.limb(Part::trousers, kx, ky, length, pose.shin[side], 0.052f, 0.042f, colour);
  const float toe = std::abs(pose.facing) > 0.3f ? (pose.facing > 0 ? 0.030f : -0.030f) : outwards * 0.014f;
  Shape& shoe = figure.ellipse(Part::trousers, fx + toe, fy - 0.022f, 0.062f, 0.036f, kShoes, -0.5f * pose.shin[side]);
  Figure::keep_top(shoe, 0.022f * figure.s());
}

void draw_body(Figure& figure, const Pose& pose, float hip, const Colours& colours) {
  const float turn = 1 - 0.16f * std::abs(pose.facing), y = pose.bob - 0.33f * pose.crouch;
  figure.box(Part::trousers, 0, hip + 0.012f, 0.108f * turn, 0.115f * turn, 0.05f, 0.04f, colours.trousers);
  figure.box(Part::shirt, 0, 0.515f + y, 0.150f * turn, 0.120f * turn, 0.140f, 0.065f, colours.shirt);
  figure.box(Part::trousers, 0, 0.372f + y, 0.121f * turn, 0.121f * turn, 0.014f, 0.008f,
             scaled(colours.trousers, 0.6f));
  figure.limb(Part::face, 0.012f * pose.facing, 0.70f + y, 0.055f, 0, 0.042f, 0.046f, scaled(colours.skin, 0.88f));
  Shape& collar =
      figure.ellipse(Part::shirt, 0.012f * pose.facing, 0.640f + y, 0.062f, 0.026f, scaled(colours.shirt, 0.86f));
  collar.cut = 1e3f;
}

void draw_back_hair(Figure& figure, const Person& person, const Pose& pose, float y, const Rgb& hair) {
  const float shift = -0.03f * pose.facing;
  if (person.long_hair) {
    figure.box(Part::hair, shift, y - 0.045f, 0.118f, 0.142f, 0.155f, 0.07f, scaled(hair, 0.9f));
  } else {
    figure.ellipse(Part::hair, shift, y + 0.012f, 0.122f, 0.122f, scaled(hair, 0.9f));
  }
}

void draw_eye(Figure& figure, float x, float y, bool blinks) {
  Figure::flat(figure.ellipse(Part::face, x, y, 0.0165f, blinks ? 0.004f : 0.023f, kInk));
  Figure::flat(figure.ellipse(Part::face, x - 0.005f, y + 0.009f, 0.0065f, blinks ? 0.002f : 0.0075f, kWhite));
}

void draw_head(Figure& figure, const Person& person, const Pose& pose, float y, const Colours& colours) {
  const float look = 0.058f * pose.facing, tilt = pose.lean;
  const float apart = 1 - 0.38f * std::abs(pose.facing);  // a face turned sideways is narrower
  for (const float side : {-1.0f, 1.0f})
    figure.ellipse(Part::face, side * 0.113f - 0.4f * look, y - 0.012f, 0.026f, 0.032f, scaled(colours.skin, 0.92f));
  figure.ellipse(Part::face, 0, y, 0.115f, 0.123f, colours.skin, tilt);
  Shape& shadow = figure.ellipse(Part::face, 0, y + 0.045f, 0.088f, 0.030f, scaled(colours.skin, 0.62f));
  Figure::flat(shadow, 0.45f, 0.03f * figure.s());
  for (const float side : {-1.0f, 1.0f}) {
    Figure::flat(figure.ellipse(Part::face, look + side * 0.066f * apart, y - 0.050f, 0.024f * apart, 0.016f, kBlush),
                 0.38f, 0.018f * figure.s());
    draw_eye(figure, look + side * 0.043f * apart, y - 0.012f, pose.blinks);
  }
  Figure::flat(figure.ellipse(Part::face, look * 1.15f, y - 0.038f, 0.012f, 0.009f, scaled(colours.skin, 0.80f)), 0.8f,
               0.006f * figure.s());
  Shape& mouth = figure.ellipse(Part::face, look, y - 0.068f, 0.030f * apart, 0.022f, kMouth, 3.1415927f);
  Figure::flat(mouth);
  mouth.cut = 0;
  if (person.long_hair) {
    for (const float side : {-1.0f, 1.0f})
      figure.limb(Part::hair, side * 0.108f - 0.25f * look, y + 0.05f, 0.13f, side * 0.10f, 0.026f, 0.020f,
                  colours.hair);
  } else {
    for (const float side : {-1.0f, 1.0f})
      figure.ellipse(Part::hair, side * 0.104f - 0.25f * look, y + 0.035f, 0.020f, 0.040f, colours.hair);
  }
}

void draw_hat(Figure& figure, HatKind kind, const Pose& pose, float y, const Rgb& colour) {
  const float look = 0.05f * pose.facing, tilt = pose.lean;
  const Rgb deep = scaled(colour, 0.84f);
  switch (kind) {
    case HatKind::cap:
      Figure::keep_top(figure.ellipse(Part::hat, 0, y + 0.038f, 0.126f, 0.118f, colour, tilt));
      figure.ellipse(Part::hat, 1.7f * look, y + 0.036f, 0.112f - 0.012f * std::abs(pose.facing), 0.026f, deep, tilt);
      figure.ellipse(Part::hat, 0, y + 0.157f, 0.016f, 0.011f, deep);
      break;
    case HatKind::top_hat:
      figure.box(Part::hat, 0, y + 0.140f, 0.108f, 0.094f, 0.090f, 0.012f, colour, tilt);
      figure.box(Part::hat, 0, y + 0.082f, 0.099f, 0.098f, 0.016f, 0.004f, scaled(colour, 0.72f), tilt);
      figure.ellipse(Part::hat, 0, y + 0.060f, 0.172f, 0.028f, colour, tilt);
      break;
    case HatKind::beanie:
      figure.ellipse(Part::hat, 0, y + 0.172f, 0.038f, 0.036f, deep);
      Figure::keep_top(figure.ellipse(Part::hat, 0, y + 0.036f, 0.124f, 0.124f, colour, tilt));
      figure.box(Part::hat, 0, y + 0.050f, 0.126f, 0.131f, 0.030f, 0.024f, deep, tilt);
      break;
    default:
      figure.ellipse(Part::hat, 0, y + 0.052f, 0.225f, 0.046f, colour, tilt);
      Figure::keep_top(figure.ellipse(Part::hat, 0, y + 0.060f, 0.118f, 0.112f, colour, tilt), 0.006f * figure.s());
      figure.box(Part::hat, 0, y + 0.068f, 0.115f, 0.118f, 0.012f, 0.006f, scaled(colour, 0.74f), tilt);
  }
}

}  // namespace

Tint tint_of(Light light) {
  return light == Light::dusk ? Tint{.light = {1.0f, 0.86f, 0.80f}, .shadow = 0.38f}
                              : Tint{.light = {1, 1, 1}, .shadow = 0.34f};
}

Tones tones_of(const Rgb& colour, const Tint& tint) {
  static constexpr float kLift = 0.03f, kGain = 1.06f;
  static constexpr Rgb kShade = {0.74f, 0.70f, 0.80f};  // shadows are cool
  Tones tones;
  for (size_t c = 0; c < 3; ++c) {
    tones.light[c] = std::clamp((colour[c] * kGain + kLift) * tint.light[c], 0.0f, 1.0f);
    tones.dark[c] = std::clamp(colour[c] * kShade[c] * tint.light[c], 0.0f, 1.0f);
  }
  return tones;
}

void append_person(std::vector<Shape>& shapes, const Person& person, int64_t index, const Pose& pose,
                   const Tint& tint) {
  const auto of = [](const std::vector<Palette::Entry>& palette, int64_t i) {
    return palette[static_cast<size_t>(i)].rgb;
  };
  const Colours colours{.hat = of(Palette::clothes(), person.hat_colour),
                        .hair = of(Palette::hair(), person.hair_colour),
                        .skin = of(Palette::skin(), person.skin_colour),
                        .shirt = of(Palette::clothes(), person.shirt_colour),
                        .trousers = of(Palette::trousers(), person.trouser_colour)};
  draw_shadow(shapes, pose, tint);
  Figure figure(shapes, index, pose, tint);
  const float drop = 0.33f * pose.crouch, hip = 0.355f - drop + pose.bob, head = kHeadY - drop + pose.bob;
  const int far = pose.facing > 0 ? 1 : 0, near = 1 - far;
  draw_arm(figure, pose, far, colours);
  draw_back_hair(figure, person, pose, head, colours.hair);
  draw_leg(figure, pose, far, hip, scaled(colours.trousers, 0.86f));
  draw_leg(figure, pose, near, hip, colours.trousers);
  draw_body(figure, pose, hip, colours);
  draw_arm(figure, pose, near, colours);
  draw_head(figure, person, pose, head, colours);
  draw_hat(figure, person.hat_kind, pose, head, colours.hat);
}

}  // namespace moga
