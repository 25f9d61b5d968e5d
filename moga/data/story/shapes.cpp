// Paints shapes one row of pixels at a time: first distances, then shade, coverage and colour. Everything affine in
// (u, v) is computed once per shape.
#include "moga/data/story/shapes.h"

#include <algorithm>
#include <cmath>

#include "moga/core/check.h"

namespace moga {
namespace {

struct Box {
  float left = 1e9f, top = 1e9f, right = -1e9f, bottom = -1e9f;
  void add(float u, float v) {
    left = std::min(left, u), right = std::max(right, u);
    top = std::min(top, v), bottom = std::max(bottom, v);
  }
};

// The extent of the shape in its own axes.
Box own_extent(const Shape& shape) {
  switch (shape.form) {
    case Form::ellipse:
      return {-shape.a, -shape.b, shape.a, std::min(shape.b, shape.cut)};
    case Form::capsule: {
      const float r = std::max(shape.b, shape.c);
      return {-r, -r, shape.a + r, r};
    }
    case Form::box: {
      const float w = std::max(shape.a, shape.b);
      return {-w, -shape.c, w, std::min(shape.c, shape.cut)};
    }
    case Form::ridge:
      return {-1e3f, -std::abs(shape.a), 1e3f, 1e3f};
  }
  fail("unknown form of a shape");
}

Box extent(const Shape& shape) {
  const Box own = own_extent(shape);
  const float cosine = std::cos(shape.angle), sine = std::sin(shape.angle);
  Box box;
  for (const float x : {own.left, own.right})
    for (const float y : {own.top, own.bottom})
      box.add(shape.u + cosine * x - sine * y, shape.v + sine * x + cosine * y);
  return box;
}

// The value u · x + v · y + one at (x, y).
struct Affine {
  float u = 0, v = 0, one = 0;
  Affine operator*(float by) const { return {u * by, v * by, one * by}; }
  Affine operator+(float more) const { return {u, v, one + more}; }
  float at(float v_of_row) const { return v * v_of_row + one; }  // the part that is constant along a row
};

// A shape's constants for painting.
struct Numbers {
  Affine below_cut, m;
  Affine form[4] = {};
  float size[3] = {0, 0, 0};
  float rim, rim_slope;        // rim · (1 + d / rim_width)
  float opacity, half, slope;  // opacity · (1/2 − d / softness)
  float dark[4], span[4];
};

void set_form(Numbers& to, const Shape& shape, const Affine& x, const Affine& y) {
  const float a = shape.a, b = shape.b, c = shape.c, round = shape.round;
  switch (shape.form) {
    case Form::ellipse:
      to.form[0] = x * (1 / a), to.form[1] = y * (1 / b);
      to.form[2] = x * (1 / (a * a)), to.form[3] = y * (1 / (b * b));
      return;
    case Form::capsule:
      to.form[0] = x * (1 / std::max(a, 1e-6f)), to.form[1] = x, to.form[2] = y;
      to.size[0] = a, to.size[1] = b, to.size[2] = c - b;
      return;
    case Form::box: {
      const float slope = (b - a) / (2 * c), cosine = 1 / std::sqrt(1 + slope * slope);
      to.form[0] = x * cosine, to.form[1] = y;
      to.form[2] = y * (slope * cosine) + (0.5f * (a + b) * cosine - round);
      to.size[0] = c - round, to.size[1] = round;
      return;
    }
    case Form::ridge:
      to.form[0] = x * b + c, to.form[1] = y;
      to.size[0] = a;
      return;
  }
}

Numbers numbers_of(const Shape& shape, float pixel) {
  const float cosine = std::cos(shape.angle), sine = std::sin(shape.angle);
  const Affine x{cosine, sine, -cosine * shape.u - sine * shape.v};
  const Affine y{-sine, cosine, sine * shape.u - cosine * shape.v};
  Numbers to{.below_cut = y + -shape.cut,
             .m = {shape.shade[1], shape.shade[2], shape.shade[0]},
             .form = {},
             .rim = shape.rim,
             .rim_slope = shape.rim / shape.rim_width,
             .opacity = shape.opacity,
             .half = 0.5f * shape.opacity,
             .slope = -shape.opacity / (shape.softness + pixel),
             .dark = {shape.dark[0], shape.dark[1], shape.dark[2], 1},
             .span = {}};
  for (int channel = 0; channel < 3; ++channel) to.span[channel] = shape.light[channel] - shape.dark[channel];
  set_form(to, shape, x, y);
  return to;
}

// The loops below run over the pixels of a row: `u` holds their positions, `d` receives their distances.

[[gnu::always_inline]] inline float length(float x, float y) { return std::sqrt(x * x + y * y); }

MOGA_WIDE_VECTORS void ellipse_distances(const Numbers& by, float v, const float* __restrict u, float* __restrict d,
                                         int64_t count) {
  const Affine* f = by.form;
  const float f0 = f[0].at(v), f1 = f[1].at(v), f2 = f[2].at(v), f3 = f[3].at(v);
  for (int64_t x = 0; x < count; ++x) {
    // The bounds keep the centre, where both vanish, far inside.
    const float reach = std::max(length(f[0].u * u[x] + f0, f[1].u * u[x] + f1), 1e-3f);
    const float slope = std::max(length(f[2].u * u[x] + f2, f[3].u * u[x] + f3), 1e-5f);
    d[x] = (reach - 1) * reach / slope;
  }
}

MOGA_WIDE_VECTORS void capsule_distances(const Numbers& by, float v, const float* __restrict u, float* __restrict d,
                                         int64_t count) {
  const Affine* f = by.form;
  const float f0 = f[0].at(v), f1 = f[1].at(v), f2 = f[2].at(v);
  for (int64_t x = 0; x < count; ++x) {
    const float along = std::clamp(f[0].u * u[x] + f0, 0.0f, 1.0f);
    d[x] = length(f[1].u * u[x] + f1 - along * by.size[0], f[2].u * u[x] + f2) - (by.size[1] + along * by.size[2]);
  }
}

MOGA_WIDE_VECTORS void box_distances(const Numbers& by, float v, const float* __restrict u, float* __restrict d,
                                     int64_t count) {
  const Affine* f = by.form;
  const float f0 = f[0].at(v), f1 = f[1].at(v), f2 = f[2].at(v);
  for (int64_t x = 0; x < count; ++x) {
    const float p = std::abs(f[0].u * u[x] + f0) - (f[2].u * u[x] + f2);
    const float q = std::abs(f[1].u * u[x] + f1) - by.size[0];
    d[x] = length(std::max(p, 0.0f), std::max(q, 0.0f)) + std::min(std::max(p, q), 0.0f) - by.size[1];
  }
}

// The heights of a ridge. A ridge is level, so they are the same in all rows.
std::vector<float> wave_of(const Numbers& by, int wave, const float* u, int64_t count) {
  constexpr float kTurn = 6.2831853f;
  std::vector<float> heights(count);
  for (int64_t x = 0; x < count; ++x) {
    const float at = by.form[0].u * u[x] + by.form[0].one;
    if (wave == 0) heights[x] = std::sin(at * kTurn) + 0.35f * std::sin(at * (kTurn * 2.3f) + 1.0f);
    if (wave == 1) heights[x] = 1 - 4 * std::abs(at - std::floor(at) - 0.5f);
    if (wave == 2) heights[x] = std::sqrt(std::abs(std::sin(at * (kTurn / 2)))) * 2 - 1;
  }
  return heights;
}

MOGA_WIDE_VECTORS void ridge_distances(const Numbers& by, float v, const float* __restrict heights, float* __restrict d,
                                       int64_t count) {
  const float y = by.form[1].at(v);
  for (int64_t x = 0; x < count; ++x) d[x] = -(y + heights[x] * by.size[0]);
}

// Turns distances into coverage in `d` and shade in `m`.
MOGA_WIDE_VECTORS void shade_row(const Numbers& by, float v, const float* __restrict u, float* __restrict d,
                                 float* __restrict m, int64_t count) {
  const float below_cut = by.below_cut.at(v), shade = by.m.at(v);
  for (int64_t x = 0; x < count; ++x) {
    const float distance = std::max(d[x], by.below_cut.u * u[x] + below_cut);
    const float rim = std::clamp(by.rim + distance * by.rim_slope, 0.0f, by.rim);
    m[x] = std::clamp(by.m.u * u[x] + shade - rim, 0.0f, 1.0f);
    d[x] = std::clamp(by.half + distance * by.slope, 0.0f, by.opacity);
  }
}

MOGA_WIDE_VECTORS void blend_row(float* __restrict to, const float* __restrict coverage, const float* __restrict m,
                                 float dark, float span, int64_t count) {
  for (int64_t x = 0; x < count; ++x) to[x] += coverage[x] * (dark + m[x] * span - to[x]);
}

// The area of a shape on its canvas: rows [y0, y1), columns [x0, x1), and [from, to), the columns widened to whole
// vectors.
struct Area {
  int64_t x0, x1, y0, y1, from = 0, to = 0;
};

Area area_of(const Shape& shape, const Canvas& canvas) {
  const auto height = static_cast<float>(canvas.picture.height), pixel = 1 / height;
  const float margin = pixel + 0.5f * shape.softness;
  const Box box = extent(shape);
  const auto clipped = [&](float at, int64_t from, int64_t limit) {
    return static_cast<int64_t>(std::clamp(at * height - static_cast<float>(from), 0.0f, static_cast<float>(limit)));
  };
  Area area{.x0 = clipped(box.left - margin - canvas.left, canvas.first_column, canvas.picture.width),
            .x1 = clipped(box.right + margin - canvas.left + pixel, canvas.first_column, canvas.picture.width),
            .y0 = clipped(box.top - margin, 0, canvas.picture.height),
            .y1 = clipped(box.bottom + margin + pixel, 0, canvas.picture.height)};
  area.from = area.x0 / kPixelsAtOnce * kPixelsAtOnce;
  area.to = (area.x1 + kPixelsAtOnce - 1) / kPixelsAtOnce * kPixelsAtOnce;
  return area;
}

void mark_parts(const Canvas& canvas, const Shape& shape, const float* coverage, int64_t y, const Area& area) {
  const int64_t count = std::min(area.to, canvas.picture.width) - area.from;
  for (int64_t person = 0; person < canvas.persons; ++person) {
    const auto mark = static_cast<uint8_t>(person == shape.person ? shape.part : 0);
    uint8_t* to = canvas.parts + person * canvas.person_stride + y * canvas.picture.width + area.from;
    for (int64_t x = 0; x < count; ++x) to[x] = coverage[x] > 0.5f ? mark : to[x];
  }
}

// Row buffers, reused for one shape after another.
struct Rows {
  std::vector<float> u, d, m;
};

void paint_shape(const Canvas& canvas, const Shape& shape, Rows& rows) {
  const Area area = area_of(shape, canvas);
  if (area.x0 >= area.x1 || area.y0 >= area.y1) return;
  const float pixel = 1 / static_cast<float>(canvas.picture.height);
  const Numbers by = numbers_of(shape, pixel);
  const int64_t count = area.to - area.from;
  const float* u = rows.u.data() + area.from;
  float *d = rows.d.data(), *m = rows.m.data();
  std::vector<float> wave;
  if (shape.form == Form::ridge) wave = wave_of(by, static_cast<int>(shape.round), u, count);
  for (int64_t y = area.y0; y < area.y1; ++y) {
    const float v = (static_cast<float>(y) + 0.5f) * pixel;
    switch (shape.form) {
      case Form::ellipse:
        ellipse_distances(by, v, u, d, count);
        break;
      case Form::capsule:
        capsule_distances(by, v, u, d, count);
        break;
      case Form::box:
        box_distances(by, v, u, d, count);
        break;
      case Form::ridge:
        ridge_distances(by, v, wave.data(), d, count);
    }
    shade_row(by, v, u, d, m, count);
    std::fill(d, d + (area.x0 - area.from), 0.0f);  // a distance is valid only near its shape
    std::fill(d + (area.x1 - area.from), d + count, 0.0f);
    for (int64_t channel = 0; channel < canvas.picture.channels; ++channel)
      blend_row(canvas.picture.row(channel, y) + area.from, d, m, by.dark[channel], by.span[channel], count);
    if (canvas.parts) mark_parts(canvas, shape, d, y, area);
  }
}

}  // namespace

void shade_across(Shape& shape, float mid, float strength, float rim) {
  const Box box = extent(shape);
  const float across = -0.5f * strength / std::max(0.5f * (box.right - box.left), 1e-4f);
  const float down = -0.85f * strength / std::max(0.5f * (box.bottom - box.top), 1e-4f);
  shape.shade[1] = across, shape.shade[2] = down;
  shape.shade[0] = mid - across * 0.5f * (box.left + box.right) - down * 0.5f * (box.top + box.bottom);
  shape.rim = rim;
  shape.rim_width = 0.35f * std::min(box.right - box.left, box.bottom - box.top);
}

void shade_down(Shape& shape, float top, float bottom) {
  shape.shade[1] = 0, shape.shade[2] = 1 / (bottom - top);
  shape.shade[0] = -top / (bottom - top);
}

void paint(const Canvas& canvas, const std::vector<Shape>& shapes) {
  const int64_t stride = canvas.picture.stride;
  const float pixel = 1 / static_cast<float>(canvas.picture.height);
  Rows rows{std::vector<float>(stride), std::vector<float>(stride), std::vector<float>(stride)};
  for (int64_t x = 0; x < stride; ++x)
    rows.u[x] = (static_cast<float>(canvas.first_column + x) + 0.5f) * pixel + canvas.left;
  for (const Shape& shape : shapes) paint_shape(canvas, shape, rows);
}

}  // namespace moga
