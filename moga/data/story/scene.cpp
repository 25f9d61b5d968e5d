// Trees, clouds and ground, which places are made of. The places themselves are in places.cpp.
#include "moga/data/story/scene.h"

#include <algorithm>
#include <cmath>

namespace moga {
namespace {

Rgb times(const Rgb& a, const Rgb& b) { return {a[0] * b[0], a[1] * b[1], a[2] * b[2]}; }

Rgb lighter(const Rgb& colour, float by) {
  Rgb result;
  for (size_t c = 0; c < 3; ++c) result[c] = std::clamp(colour[c] * by, 0.0f, 1.0f);
  return result;
}

}  // namespace

Shape& Brush::add(Shape shape, const Rgb& colour) {
  shape.light = times(lighter(colour, 1.12f), ambient_);
  shape.dark = times(times(colour, {0.70f, 0.68f, 0.80f}), ambient_);
  shade_across(shape, 0.6f, 0.5f, 0.12f);
  return shapes_.emplace_back(shape);
}

Shape& Brush::ellipse(float u, float v, float a, float b, const Rgb& colour, float angle) {
  return add({.form = Form::ellipse, .u = u, .v = v, .angle = angle, .a = a, .b = b}, colour);
}

Shape& Brush::box(float u, float v, float top, float bottom, float half_height, const Rgb& colour, float round) {
  return add({.form = Form::box, .u = u, .v = v, .a = top, .b = bottom, .c = half_height, .round = round}, colour);
}

Shape& Brush::line(float u0, float v0, float u1, float v1, float from, float to, const Rgb& colour) {
  return add({.form = Form::capsule,
              .u = u0,
              .v = v0,
              .angle = std::atan2(v1 - v0, u1 - u0),
              .a = std::hypot(u1 - u0, v1 - v0),
              .b = from,
              .c = to},
             colour);
}

Shape& Brush::ridge(float v, float amplitude, float frequency, float phase, int wave, const Rgb& top, const Rgb& low,
                    float depth) {
  Shape shape{
      .form = Form::ridge, .v = v, .a = amplitude, .b = frequency, .c = phase, .round = static_cast<float>(wave)};
  shape.dark = times(top, ambient_), shape.light = times(low, ambient_);
  shade_down(shape, v - amplitude, v + depth);
  return shapes_.emplace_back(shape);
}

Shape& Brush::glow(float u, float v, float radius, const Rgb& colour, float opacity) {
  Shape shape{.form = Form::ellipse,
              .u = u,
              .v = v,
              .a = radius,
              .b = radius,
              .softness = 2 * radius,
              .opacity = opacity,
              .light = colour,
              .dark = colour};
  return shapes_.emplace_back(shape);
}

void Brush::sky(const Rgb& top, const Rgb& low) {
  Shape shape{.form = Form::ridge, .v = -1};
  shape.dark = top, shape.light = low;
  shade_down(shape, 0.0f, kHorizon + 0.02f);
  shapes_.push_back(shape);
}

void Brush::round_tree(Dice& dice, float u, float foot, float height, const Rgb& leaves, const Rgb& trunk) {
  const float width = 0.24f * height, top = foot - height;
  box(u, foot - 0.25f * height, 0.030f * height, 0.048f * height, 0.26f * height, trunk);
  const float lean = dice.between(-0.05, 0.05) * height;
  ellipse(u - 0.62f * width + lean, top + 0.42f * height, 0.75f * width, 0.17f * height, lighter(leaves, 0.86f));
  ellipse(u + 0.62f * width + lean, top + 0.40f * height, 0.78f * width, 0.18f * height, lighter(leaves, 0.92f));
  ellipse(u + lean, top + 0.27f * height, 1.02f * width, 0.25f * height, leaves);
  ellipse(u - 0.3f * width + lean, top + 0.18f * height, 0.5f * width, 0.11f * height, lighter(leaves, 1.14f)).opacity =
      0.6f;
}

void Brush::pine(float u, float foot, float height, const Rgb& needles, bool snow) {
  box(u, foot - 0.06f * height, 0.03f * height, 0.035f * height, 0.07f * height, {0.36f, 0.24f, 0.18f});
  for (int tier = 0; tier < 3; ++tier) {
    const float half = (0.17f - 0.02f * static_cast<float>(tier)) * height;
    const float v = foot - (0.25f + 0.24f * static_cast<float>(tier)) * height;
    const float width = (0.23f - 0.055f * static_cast<float>(tier)) * height;
    box(u, v, 0.01f * height, width, half, lighter(needles, 0.85f + 0.12f * static_cast<float>(tier)), 0.01f * height);
    if (snow)
      box(u, v - 0.35f * half, 0.008f * height, 0.62f * width, 0.62f * half, {0.96f, 0.98f, 1.0f}, 0.01f * height);
  }
}

void Brush::palm(Dice& dice, float u, float foot, float height) {
  const Rgb bark = {0.58f, 0.42f, 0.27f}, leaf = {0.25f, 0.58f, 0.28f};
  const float lean = dice.between(-0.16, 0.16) * height;
  line(u, foot, u + 0.3f * lean, foot - 0.5f * height, 0.026f * height, 0.020f * height, bark);
  line(u + 0.3f * lean, foot - 0.5f * height, u + lean, foot - 0.95f * height, 0.020f * height, 0.016f * height, bark);
  for (const float angle : {-0.35f, 0.30f, -1.1f, 1.0f, -2.75f, 2.80f, -2.1f}) {
    const float reach = 0.21f * height;
    Shape& frond = ellipse(u + lean + reach * std::cos(angle), foot - 0.95f * height + reach * std::sin(angle), reach,
                           0.042f * height, lighter(leaf, 0.9f + 0.2f * static_cast<float>(angle < 0)), angle);
    frond.rim = 0.3f;
  }
  ellipse(u + lean + 0.02f * height, foot - 0.92f * height, 0.026f * height, 0.026f * height, {0.45f, 0.30f, 0.18f});
}

void Brush::cloud(Dice& dice, float u, float v, float size, const Rgb& colour) {
  const float flat = dice.between(0.85, 1.15);
  for (const auto& [x, y, r] :
       {std::array{-0.55f, 0.05f, 0.42f}, {0.6f, 0.06f, 0.40f}, {-0.1f, -0.18f, 0.55f}, {0.3f, -0.08f, 0.45f}}) {
    Shape& puff = ellipse(u + x * size, v + y * size * flat, r * size, 0.62f * r * size, colour);
    puff.light = colour, puff.dark = times(colour, {0.82f, 0.84f, 0.92f});
    puff.cut = (0.12f - y * flat) * size;
    puff.softness = 0.08f * size;
    puff.opacity = 0.92f;
  }
}

}  // namespace moga
