// The six places, each by day and at dusk: palettes, objects, depth.
#include <array>
#include <cmath>

#include "moga/data/story/scene.h"

namespace moga {
namespace {

// One place under one light, while it is being built.
struct Site {
  Scene scene;
  Dice dice;
  bool dusk;
  float half_width;
  Rgb ambient;

  Brush layer(float nearness, float drift = 0) {
    scene.layers.push_back({.nearness = nearness, .drift = drift, .shapes = {}});
    return Brush(scene.layers.back().shapes, ambient);
  }
  Rgb pick(const Rgb& day, const Rgb& evening) const { return dusk ? evening : day; }
  // Positions across the whole panorama, `gap` apart, each displaced by up to `spread` times the gap.
  std::vector<float> along(float gap, float spread) {
    std::vector<float> positions;
    for (float u = -half_width + gap * dice.between(0, 0.8); u < half_width; u += gap)
      positions.push_back(u + gap * dice.between(-spread, spread));
    return positions;
  }
};

void paint_sky(Site& site, bool sun) {
  Brush sky = site.layer(0.05f);
  sky.sky(site.pick({0.36f, 0.64f, 0.93f}, {0.30f, 0.26f, 0.52f}),
          site.pick({0.86f, 0.94f, 0.98f}, {0.99f, 0.68f, 0.46f}));
  const float u = -0.45f + site.dice.between(-0.15, 0.15);
  if (sun && site.dusk) {
    sky.glow(u, 0.44f, 0.42f, {1.0f, 0.72f, 0.42f}, 0.55f);
    sky.glow(u, 0.44f, 0.085f, {1.0f, 0.90f, 0.66f}, 1.0f).softness = 0.015f;
  } else if (sun) {
    sky.glow(u, 0.15f, 0.30f, {1.0f, 0.98f, 0.86f}, 0.6f);
    sky.glow(u, 0.15f, 0.065f, {1.0f, 0.97f, 0.80f}, 1.0f).softness = 0.012f;
  }
  Brush clouds = site.layer(0.12f, 0.0016f);
  for (const float at : site.along(0.75f, 0.3f))
    clouds.cloud(site.dice, at, site.dice.between(0.10, 0.30), site.dice.between(0.14, 0.24),
                 site.pick({1, 1, 1}, {0.98f, 0.70f, 0.62f}));
}

void mountains(Site& site, float nearness, float v, float amplitude, const Rgb& day, const Rgb& evening) {
  Brush brush = site.layer(nearness);
  const Rgb top = site.pick(day, evening);
  Shape& back = brush.ridge(v, amplitude, 1.1f, site.dice.between(0, 1), 1, top,
                            site.pick({0.80f, 0.88f, 0.95f}, {0.93f, 0.62f, 0.52f}), 0.22f);
  back.light = site.pick({0.80f, 0.88f, 0.95f}, {0.93f, 0.62f, 0.52f});
}

void flowers(Site& site, Brush& brush, float from, float to, float gap) {
  static const std::vector<Rgb> kinds = {
      {0.98f, 0.86f, 0.40f}, {0.96f, 0.96f, 0.98f}, {0.92f, 0.48f, 0.60f}, {0.66f, 0.56f, 0.92f}};
  for (const float at : site.along(gap, 0.45f)) {
    const float v = site.dice.between(from, to);
    brush.line(at, v + 0.022f, at, v, 0.003f, 0.003f, {0.25f, 0.48f, 0.22f});
    brush.ellipse(at, v, 0.011f, 0.010f, site.dice.pick(kinds));
  }
}

void grass_before(Site& site, const Rgb& colour) {
  Brush front = site.layer(1.3f);
  front.ridge(0.985f, 0.022f, 9.0f, site.dice.between(0, 1), 2, colour,
              {colour[0] * 0.6f, colour[1] * 0.6f, colour[2] * 0.6f}, 0.06f);
}

void lake(Site& site) {
  paint_sky(site, true);
  mountains(site, 0.2f, 0.46f, 0.16f, {0.52f, 0.63f, 0.80f}, {0.42f, 0.32f, 0.52f});
  Brush far = site.layer(0.35f);
  far.ridge(0.555f, 0.028f, 7.0f, site.dice.between(0, 1), 2, {0.30f, 0.52f, 0.40f}, {0.22f, 0.42f, 0.36f}, 0.05f);
  Shape& water = far.ridge(0.60f, 0.0f, 1, 0, 0, {1, 1, 1}, {1, 1, 1}, 0.25f);
  water.dark = site.pick({0.66f, 0.85f, 0.95f}, {0.97f, 0.66f, 0.50f});
  water.light = site.pick({0.16f, 0.46f, 0.72f}, {0.30f, 0.26f, 0.50f});
  for (const float at : site.along(0.16f, 0.5f)) {
    Shape& glint = far.ellipse(at, site.dice.between(0.62, 0.74), site.dice.between(0.04, 0.10), 0.0035f, {1, 1, 1});
    glint.light = glint.dark = site.pick({0.92f, 0.98f, 1.0f}, {1.0f, 0.84f, 0.62f});
    glint.opacity = 0.55f;
  }
  Brush boat = site.layer(0.5f, -0.0022f);
  const float at = site.dice.between(-0.3, 0.8);
  boat.line(at, 0.645f, at, 0.525f, 0.004f, 0.003f, {0.40f, 0.28f, 0.20f});
  boat.box(at + 0.034f, 0.580f, 0.001f, 0.033f, 0.045f, {0.97f, 0.95f, 0.90f});
  boat.box(at, 0.650f, 0.062f, 0.042f, 0.014f, {0.62f, 0.33f, 0.22f}, 0.008f);
  Brush bank = site.layer(1.0f);
  bank.ridge(0.77f, 0.010f, 1.3f, site.dice.between(0, 1), 0, {0.55f, 0.74f, 0.34f}, {0.26f, 0.50f, 0.24f}, 0.24f);
  for (const float u : site.along(1.15f, 0.2f))
    bank.round_tree(site.dice, u + 0.5f, 0.80f, site.dice.between(0.52, 0.66), {0.34f, 0.60f, 0.28f},
                    {0.42f, 0.30f, 0.22f});
  for (const float u : site.along(0.5f, 0.4f)) {  // reeds
    for (const float lean : {-0.02f, 0.0f, 0.022f})
      bank.line(u + lean, 0.79f, u + 1.8f * lean, 0.70f - std::abs(lean), 0.005f, 0.003f, {0.38f, 0.56f, 0.24f});
    bank.ellipse(u, 0.70f, 0.007f, 0.020f, {0.46f, 0.30f, 0.18f});
  }
  flowers(site, bank, 0.82f, 0.95f, 0.22f);
  grass_before(site, {0.30f, 0.56f, 0.25f});
}

void house(Site& site, Brush& brush, float u, float width, float height, const Rgb& wall, float foot, bool windows) {
  brush.box(u, foot - 0.5f * height, width, width, 0.5f * height, wall);
  brush.box(u, foot - height, width + 0.012f, width + 0.012f, 0.010f, {wall[0] * 0.8f, wall[1] * 0.8f, wall[2] * 0.8f});
  if (!windows) return;
  for (float v = foot - height + 0.065f; v < foot - 0.20f; v += 0.105f)
    for (float x = u - width + 0.062f; x < u + width - 0.04f; x += 0.095f) {
      const bool lit = site.dusk && site.dice.chance(0.6);
      Shape& pane = brush.box(x, v, 0.026f, 0.026f, 0.034f, {0.45f, 0.60f, 0.72f});
      if (lit) pane.light = {1.0f, 0.87f, 0.55f}, pane.dark = {0.96f, 0.70f, 0.36f};
    }
}

void city(Site& site) {
  paint_sky(site, false);
  static const std::vector<Rgb> walls = {{0.80f, 0.55f, 0.44f},
                                         {0.86f, 0.78f, 0.62f},
                                         {0.62f, 0.68f, 0.72f},
                                         {0.74f, 0.62f, 0.66f},
                                         {0.66f, 0.72f, 0.60f}};
  Brush far = site.layer(0.25f);
  for (const float u : site.along(0.20f, 0.3f)) {
    const float height = site.dice.between(0.22, 0.46);
    Shape& tower = far.box(u, 0.70f - 0.5f * height, 0.085f, 0.085f, 0.5f * height, {0.60f, 0.68f, 0.80f});
    tower.light = site.pick({0.72f, 0.80f, 0.90f}, {0.62f, 0.44f, 0.56f}),
    tower.dark = site.pick({0.58f, 0.68f, 0.82f}, {0.46f, 0.34f, 0.52f});
  }
  Brush row = site.layer(0.65f);
  for (const float u : site.along(0.50f, 0.04f)) {
    const float height = site.dice.between(0.42, 0.66);
    house(site, row, u, 0.235f, height, site.dice.pick(walls), 0.77f, true);
    row.box(u, 0.690f, 0.21f, 0.21f, 0.065f, {0.32f, 0.30f, 0.34f});  // a shop
    Shape& shop = row.box(u - 0.06f, 0.695f, 0.12f, 0.12f, 0.050f, {0.62f, 0.78f, 0.84f});
    if (site.dusk) shop.light = {1.0f, 0.88f, 0.60f}, shop.dark = {0.98f, 0.74f, 0.42f};
    row.box(u + 0.13f, 0.710f, 0.040f, 0.040f, 0.060f, {0.44f, 0.27f, 0.20f});
    row.box(u, 0.622f, 0.20f, 0.225f, 0.022f,
            site.dice.chance(0.5) ? Rgb{0.74f, 0.32f, 0.28f} : Rgb{0.26f, 0.48f, 0.46f});
  }
  Brush street = site.layer(1.0f);
  street.ridge(0.765f, 0.0f, 1, 0, 0, {0.80f, 0.77f, 0.74f}, {0.70f, 0.67f, 0.66f}, 0.20f);
  street.ridge(0.935f, 0.0f, 1, 0, 0, {0.58f, 0.57f, 0.58f}, {0.58f, 0.57f, 0.58f}, 0.02f);
  street.ridge(0.950f, 0.0f, 1, 0, 0, {0.36f, 0.37f, 0.41f}, {0.27f, 0.28f, 0.32f}, 0.08f);
  for (float u = -site.half_width; u < site.half_width; u += 0.24f)
    street.line(u, 0.765f, u - 0.05f, 0.935f, 0.0018f, 0.0025f, {0.64f, 0.61f, 0.60f});
  for (const float u : site.along(0.95f, 0.1f)) {  // lamps and trees
    street.line(u, 0.80f, u, 0.36f, 0.010f, 0.007f, {0.20f, 0.22f, 0.26f});
    if (site.dusk) street.glow(u, 0.335f, 0.12f, {1.0f, 0.86f, 0.55f}, 0.6f);
    Shape& lamp = street.box(u, 0.335f, 0.030f, 0.020f, 0.032f, {0.96f, 0.94f, 0.84f}, 0.008f);
    if (site.dusk) lamp.light = {1.0f, 0.97f, 0.82f}, lamp.dark = {1.0f, 0.90f, 0.62f};
    street.round_tree(site.dice, u + 0.45f, 0.80f, 0.40f, {0.38f, 0.60f, 0.30f}, {0.40f, 0.30f, 0.24f});
  }
}

void forest(Site& site) {
  Brush mist = site.layer(0.05f);
  mist.sky(site.pick({0.62f, 0.82f, 0.66f}, {0.40f, 0.32f, 0.46f}),
           site.pick({0.92f, 0.96f, 0.80f}, {0.98f, 0.70f, 0.50f}));
  mist.glow(-0.35f, 0.22f, 0.45f, site.pick({1.0f, 1.0f, 0.86f}, {1.0f, 0.80f, 0.52f}), 0.7f);
  const std::array<Rgb, 3> leaves = {{{0.56f, 0.76f, 0.56f}, {0.36f, 0.60f, 0.38f}, {0.22f, 0.46f, 0.28f}}};
  const std::array<Rgb, 3> trunks = {{{0.58f, 0.62f, 0.52f}, {0.44f, 0.40f, 0.32f}, {0.33f, 0.24f, 0.20f}}};
  for (size_t depth = 0; depth < 2; ++depth) {
    Brush brush = site.layer(depth == 0 ? 0.25f : 0.55f);
    const float foot = depth == 0 ? 0.66f : 0.74f;
    for (const float u : site.along(depth == 0 ? 0.22f : 0.36f, 0.3f)) {
      const float width = depth == 0 ? 0.020f : 0.034f;
      brush.box(u, foot - 0.40f, 0.7f * width, 1.25f * width, 0.42f, trunks[depth]);
      brush.ellipse(u + site.dice.between(-0.04, 0.04), site.dice.between(0.02, 0.14), 0.20f, 0.13f, leaves[depth]);
    }
    brush.ridge(foot - 0.03f, 0.020f, depth == 0 ? 6.0f : 4.0f, site.dice.between(0, 1), 2, leaves[depth],
                leaves[depth + 1], 0.14f);
  }
  Brush ground = site.layer(1.0f);
  ground.ridge(0.765f, 0.010f, 1.1f, site.dice.between(0, 1), 0, {0.52f, 0.62f, 0.30f}, {0.27f, 0.38f, 0.20f}, 0.24f);
  for (const float u : site.along(1.0f, 0.22f)) {
    ground.box(u, 0.36f, 0.055f, 0.085f, 0.46f, trunks[2]);
    ground.line(u, 0.25f, u + 0.15f, 0.13f, 0.024f, 0.014f, trunks[2]);
    for (const float x : {-0.24f, 0.20f, -0.02f})
      ground.ellipse(u + x, 0.03f + 0.1f * std::abs(x), 0.22f, 0.13f, leaves[2]);
  }
  for (const float u : site.along(0.42f, 0.4f)) {  // ferns
    for (const float angle : {-2.5f, -2.0f, -1.57f, -1.1f, -0.6f})
      ground.ellipse(u + 0.045f * std::cos(angle), 0.80f + 0.045f * std::sin(angle), 0.048f, 0.011f,
                     {0.30f, 0.56f, 0.28f}, angle);
  }
  for (const float u : site.along(0.6f, 0.45f)) {  // mushrooms
    const float v = site.dice.between(0.84, 0.95);
    ground.box(u, v, 0.008f, 0.010f, 0.016f, {0.95f, 0.92f, 0.84f});
    ground.ellipse(u, v - 0.012f, 0.025f, 0.022f, {0.80f, 0.36f, 0.26f}).cut = 0.004f;
  }
  grass_before(site, {0.28f, 0.46f, 0.22f});
}

void beach(Site& site) {
  paint_sky(site, true);
  Brush sea = site.layer(0.3f);
  Shape& water = sea.ridge(0.565f, 0.0f, 1, 0, 0, {1, 1, 1}, {1, 1, 1}, 0.20f);
  water.dark = site.pick({0.10f, 0.44f, 0.70f}, {0.36f, 0.28f, 0.54f});
  water.light = site.pick({0.36f, 0.80f, 0.82f}, {0.90f, 0.56f, 0.52f});
  for (const float at : site.along(0.14f, 0.5f)) {
    Shape& crest = sea.ellipse(at, site.dice.between(0.585, 0.70), site.dice.between(0.03, 0.09), 0.0035f, {1, 1, 1});
    crest.light = crest.dark = site.pick({0.93f, 0.99f, 1.0f}, {1.0f, 0.82f, 0.66f});
    crest.opacity = 0.6f;
  }
  Brush sail = site.layer(0.35f, 0.0018f);
  const float at = site.dice.between(-0.9, 0.4);
  sail.box(at + 0.030f, 0.520f, 0.001f, 0.030f, 0.048f, {0.98f, 0.97f, 0.94f});
  sail.box(at - 0.020f, 0.528f, 0.001f, 0.018f, 0.038f, {0.96f, 0.80f, 0.52f});
  sail.box(at, 0.578f, 0.055f, 0.036f, 0.011f, {0.36f, 0.30f, 0.34f}, 0.006f);
  Brush sand = site.layer(1.0f);
  const float phase = site.dice.between(0, 1);
  sand.ridge(0.735f, 0.008f, 1.6f, phase, 0, {0.98f, 0.99f, 1.0f}, {0.92f, 0.96f, 0.96f}, 0.03f);
  sand.ridge(0.750f, 0.008f, 1.6f, phase, 0, {0.80f, 0.67f, 0.47f}, {0.93f, 0.81f, 0.58f}, 0.035f);
  sand.ridge(0.785f, 0.006f, 1.6f, phase + 0.1f, 0, {0.97f, 0.87f, 0.65f}, {0.88f, 0.72f, 0.48f}, 0.22f);
  for (const float u : site.along(1.25f, 0.15f)) {
    sand.palm(site.dice, u, 0.81f, site.dice.between(0.62, 0.74));
    const float x = u + 0.62f;  // a parasol
    sand.line(x, 0.83f, x + 0.03f, 0.50f, 0.008f, 0.006f, {0.92f, 0.90f, 0.86f});
    sand.ellipse(x + 0.032f, 0.575f, 0.19f, 0.105f, {0.93f, 0.42f, 0.34f}, 0.09f).cut = 0.0f;
    sand.ellipse(x + 0.032f, 0.575f, 0.10f, 0.105f, {0.97f, 0.94f, 0.88f}, 0.09f).cut = 0.0f;
    sand.ellipse(x + 0.032f, 0.575f, 0.040f, 0.105f, {0.93f, 0.42f, 0.34f}, 0.09f).cut = 0.0f;
  }
  for (const float u : site.along(0.45f, 0.45f)) {  // stones and shells
    const float v = site.dice.between(0.84, 0.96);
    sand.ellipse(u, v, 0.020f, 0.011f, site.dice.chance(0.5) ? Rgb{0.74f, 0.62f, 0.52f} : Rgb{0.98f, 0.86f, 0.80f});
  }
}

void kitchen_window(Site& site, Brush& wall, float u) {
  wall.box(u, 0.31f, 0.235f, 0.235f, 0.185f, {0.97f, 0.95f, 0.90f}, 0.01f);
  Shape& sky = wall.box(u, 0.31f, 0.212f, 0.212f, 0.162f, {1, 1, 1});
  sky.dark = site.pick({0.46f, 0.72f, 0.95f}, {0.36f, 0.29f, 0.52f}),
  sky.light = site.pick({0.90f, 0.96f, 0.98f}, {0.98f, 0.64f, 0.42f});
  shade_down(sky, 0.15f, 0.47f);
  Shape& hill = wall.ellipse(u + 0.06f, 0.50f, 0.20f, 0.10f, site.pick({0.46f, 0.68f, 0.40f}, {0.36f, 0.34f, 0.40f}));
  hill.cut = -0.028f, hill.a = 0.145f;
  wall.box(u, 0.31f, 0.008f, 0.008f, 0.165f, {0.97f, 0.95f, 0.90f});
  wall.box(u, 0.31f, 0.215f, 0.215f, 0.007f, {0.97f, 0.95f, 0.90f});
  for (const float side : {-1.0f, 1.0f})
    wall.box(u + side * 0.225f, 0.30f, 0.030f, 0.062f, 0.195f, {0.90f, 0.62f, 0.50f}, 0.02f);
  wall.box(u, 0.108f, 0.30f, 0.30f, 0.012f, {0.55f, 0.38f, 0.27f}, 0.01f);
  wall.box(u, 0.505f, 0.26f, 0.26f, 0.012f, {0.93f, 0.90f, 0.84f}, 0.006f);
}

void kitchen(Site& site) {
  Brush wall = site.layer(0.7f);
  wall.sky(site.pick({0.98f, 0.90f, 0.74f}, {0.62f, 0.44f, 0.40f}),
           site.pick({0.93f, 0.80f, 0.62f}, {0.86f, 0.58f, 0.40f}));
  static const std::vector<Rgb> jars = {
      {0.80f, 0.42f, 0.34f}, {0.42f, 0.62f, 0.60f}, {0.94f, 0.80f, 0.48f}, {0.92f, 0.92f, 0.90f}};
  const float shift = site.dice.between(-0.25, 0.25);
  for (float u = -site.half_width + shift; u < site.half_width + 0.5f; u += 1.30f) {
    kitchen_window(site, wall, u);
    wall.box(u + 0.65f, 0.345f, 0.22f, 0.22f, 0.012f, {0.56f, 0.38f, 0.26f});  // a shelf
    for (int i = 0; i < 5; ++i) {
      const float x = u + 0.48f + 0.085f * static_cast<float>(i), height = site.dice.between(0.025, 0.055);
      wall.box(x, 0.333f - height, 0.028f, 0.030f, height, site.dice.pick(jars), 0.012f);
    }
  }
  Brush counter = site.layer(0.85f);
  counter.ridge(0.800f, 0.0f, 1, 0, 0, {0.80f, 0.58f, 0.40f}, {0.58f, 0.38f, 0.26f}, 0.20f);
  counter.box(0, 0.705f, 9, 9, 0.095f, {0.44f, 0.60f, 0.60f});
  counter.box(0, 0.604f, 9, 9, 0.016f, {0.93f, 0.88f, 0.80f});
  counter.box(0, 0.803f, 9, 9, 0.010f, {0.26f, 0.34f, 0.36f});
  for (float u = -site.half_width + shift; u < site.half_width + 0.5f; u += 0.36f) {
    counter.box(u, 0.712f, 0.150f, 0.150f, 0.066f, {0.50f, 0.67f, 0.66f}, 0.012f);
    counter.ellipse(u + 0.115f, 0.70f, 0.011f, 0.011f, {0.95f, 0.80f, 0.46f});
  }
  for (const float u : site.along(0.65f, 0.25f)) {  // pots, bowls
    counter.ellipse(u, 0.548f, 0.062f, 0.045f, site.dice.pick(jars)).cut = 0.042f;
    counter.box(u, 0.548f, 0.072f, 0.066f, 0.012f, {0.36f, 0.34f, 0.38f}, 0.006f);
    counter.box(u + 0.25f, 0.560f, 0.026f, 0.032f, 0.030f, {0.76f, 0.48f, 0.34f}, 0.006f);
    for (const float angle : {-2.2f, -1.57f, -0.9f})
      counter.ellipse(u + 0.25f + 0.035f * std::cos(angle), 0.530f + 0.045f * std::sin(angle), 0.040f, 0.015f,
                      {0.36f, 0.60f, 0.32f}, angle);
  }
  Brush floor = site.layer(1.0f);
  for (float u = -site.half_width; u < site.half_width; u += 0.22f)
    floor.line(u, 0.83f, u * 1.0f - 0.04f, 1.02f, 0.0018f, 0.003f, {0.46f, 0.30f, 0.20f});
  for (const float u : site.along(1.2f, 0.1f)) {  // hanging lamps
    floor.line(u, -0.02f, u, 0.075f, 0.004f, 0.004f, {0.25f, 0.22f, 0.22f});
    if (site.dusk) floor.glow(u, 0.15f, 0.26f, {1.0f, 0.86f, 0.58f}, 0.55f);
    floor.box(u, 0.095f, 0.018f, 0.085f, 0.036f, {0.80f, 0.36f, 0.28f}, 0.012f);
    Shape& bulb = floor.ellipse(u, 0.132f, 0.026f, 0.018f, {1, 1, 1});
    bulb.light = bulb.dark = {1.0f, 0.97f, 0.84f};
  }
}

void snow(Site& site) {
  paint_sky(site, true);
  mountains(site, 0.15f, 0.42f, 0.18f, {0.66f, 0.76f, 0.92f}, {0.50f, 0.40f, 0.62f});
  Brush hills = site.layer(0.35f);
  hills.ridge(0.56f, 0.045f, 0.8f, site.dice.between(0, 1), 0, {0.90f, 0.95f, 1.0f}, {0.70f, 0.82f, 0.95f}, 0.2f);
  for (const float u : site.along(0.22f, 0.45f))
    hills.pine(u, site.dice.between(0.575, 0.62), site.dice.between(0.13, 0.20), {0.32f, 0.50f, 0.52f}, true);
  Brush cabin = site.layer(0.6f);
  cabin.ridge(0.67f, 0.030f, 0.7f, site.dice.between(0, 1), 0, {0.95f, 0.98f, 1.0f}, {0.76f, 0.86f, 0.97f}, 0.2f);
  const float at = site.dice.between(0.15, 0.65);
  cabin.box(at, 0.615f, 0.125f, 0.125f, 0.065f, {0.52f, 0.34f, 0.24f});
  cabin.box(at + 0.07f, 0.475f, 0.022f, 0.022f, 0.050f, {0.50f, 0.40f, 0.38f});
  cabin.box(at, 0.515f, 0.055f, 0.175f, 0.048f, {0.97f, 0.98f, 1.0f}, 0.012f);
  cabin.box(at + 0.045f, 0.630f, 0.026f, 0.026f, 0.050f, {0.36f, 0.23f, 0.17f});
  Shape& window = cabin.box(at - 0.055f, 0.612f, 0.030f, 0.030f, 0.028f, {1, 1, 1});
  window.light = {1.0f, 0.90f, 0.58f}, window.dark = {0.98f, 0.74f, 0.38f};
  if (site.dusk) cabin.glow(at - 0.055f, 0.612f, 0.09f, {1.0f, 0.84f, 0.50f}, 0.55f);
  Brush ground = site.layer(1.0f);
  ground.ridge(0.775f, 0.014f, 0.9f, site.dice.between(0, 1), 0, {0.97f, 0.99f, 1.0f}, {0.78f, 0.86f, 0.96f}, 0.24f);
  for (const float u : site.along(0.85f, 0.25f))
    ground.pine(u + 0.3f, 0.81f, site.dice.between(0.46, 0.62), {0.20f, 0.42f, 0.36f}, true);
  for (const float u : site.along(0.5f, 0.4f))
    ground.ellipse(u, site.dice.between(0.84, 0.96), 0.09f, 0.012f, {0.88f, 0.93f, 1.0f}).opacity = 0.7f;
}

}  // namespace

Scene make_scene(Place place, Light light, uint64_t seed, float half_width) {
  const bool dusk = light == Light::dusk;
  Site site{.scene = {},
            .dice = Dice(seed, "place"),
            .dusk = dusk,
            .half_width = half_width,
            .ambient = dusk ? Rgb{0.80f, 0.62f, 0.66f} : Rgb{1, 1, 1}};
  site.scene.tint = tint_of(light);
  switch (place) {
    case Place::lake:
      lake(site);
      break;
    case Place::city:
      city(site);
      break;
    case Place::forest:
      forest(site);
      break;
    case Place::beach:
      beach(site);
      break;
    case Place::kitchen:
      kitchen(site);
      break;
    default:
      snow(site);
  }
  return std::move(site.scene);
}

}  // namespace moga
