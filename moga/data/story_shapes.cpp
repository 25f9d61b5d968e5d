#include "moga/data/story_shapes.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "moga/core/check.h"

namespace moga {
namespace {

using at::Tensor;

// Rows of the table that holds the numbers of one shape in one frame.
enum Row : int64_t {
  kX = 0,
  kY = 3,
  kSize = 6,
  kCut = 12,
  kShade = 13,
  kRim = 16,
  kInverseRimWidth,
  kInverseSoftness,
  kOpacity,
  kDark = 20,
  kSpan = 24,
  kRows = 28
};

struct Box {
  float left = 1e9f, top = 1e9f, right = -1e9f, bottom = -1e9f;
  void add(float u, float v) {
    left = std::min(left, u), right = std::max(right, u);
    top = std::min(top, v), bottom = std::max(bottom, v);
  }
};

// The extent in the shape's own axes.
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

void write_numbers(const Shape& shape, float pixel, float* row) {
  const float cosine = std::cos(shape.angle), sine = std::sin(shape.angle);
  // Own x and y as affine functions of (u, v).
  row[kX] = cosine, row[kX + 1] = sine, row[kX + 2] = -cosine * shape.u - sine * shape.v;
  row[kY] = -sine, row[kY + 1] = cosine, row[kY + 2] = sine * shape.u - cosine * shape.v;
  float* size = row + kSize;
  switch (shape.form) {
    case Form::ellipse:
      size[0] = 1 / shape.a, size[1] = 1 / shape.b;
      break;
    case Form::capsule:
      size[0] = 1 / std::max(shape.a, 1e-6f), size[1] = shape.a, size[2] = shape.b, size[3] = shape.c - shape.b;
      break;
    case Form::box: {
      const float slope = (shape.b - shape.a) / (2 * shape.c);
      size[0] = (shape.a + shape.b) / 2, size[1] = slope, size[2] = 1 / std::sqrt(1 + slope * slope);
      size[3] = shape.c, size[4] = shape.round;
      break;
    }
    case Form::ridge:
      size[0] = shape.a, size[1] = shape.b, size[2] = shape.c;
      break;
  }
  row[kCut] = shape.cut;
  row[kShade] = shape.shade[1], row[kShade + 1] = shape.shade[2], row[kShade + 2] = shape.shade[0];
  row[kRim] = shape.rim, row[kInverseRimWidth] = 1 / shape.rim_width;
  row[kInverseSoftness] = 1 / (shape.softness + pixel), row[kOpacity] = shape.opacity;
  for (int channel = 0; channel < 3; ++channel) {
    row[kDark + channel] = shape.dark[channel];
    row[kSpan + channel] = shape.light[channel] - shape.dark[channel];
  }
  row[kDark + 3] = 1, row[kSpan + 3] = 0;
}

// One shape in all frames, in the box that holds it: its numbers as [T, 1, 1, 1] each.
struct Region {
  Tensor table;  // [T, rows]
  Tensor u, v;   // [1, 1, 1, x], [1, 1, y, 1]
  Tensor number(int64_t row) const { return table.select(1, row).view({-1, 1, 1, 1}); }
  Tensor affine(int64_t row) const {  // [T, 1, y, x]
    return number(row) * u + at::addcmul(number(row + 2), number(row + 1), v);
  }
};

Tensor ellipse_distance(const Region& region, const Tensor& x, const Tensor& y) {
  const Tensor p = x * region.number(kSize), q = y * region.number(kSize + 1);
  const Tensor reach = at::hypot(p, q);
  const Tensor slope = at::hypot(p * region.number(kSize), q * region.number(kSize + 1));
  return reach * (reach - 1) / slope.clamp_min_(1e-4);
}

Tensor capsule_distance(const Region& region, const Tensor& x, const Tensor& y) {
  const Tensor along = (x * region.number(kSize)).clamp_(0, 1);
  return at::hypot(x - along * region.number(kSize + 1), y) -
         at::addcmul(region.number(kSize + 2), along, region.number(kSize + 3));
}

Tensor box_distance(const Region& region, const Tensor& x, const Tensor& y) {
  const Tensor round = region.number(kSize + 4);
  const Tensor width = at::addcmul(region.number(kSize), y, region.number(kSize + 1));
  const Tensor p = (x.abs() - width) * region.number(kSize + 2) + round;
  const Tensor q = y.abs() - (region.number(kSize + 3) - round);
  return at::hypot(p.clamp_min(0), q.clamp_min(0)) + at::maximum(p, q).clamp_max_(0) - round;
}

Tensor ridge_distance(const Region& region, const Tensor& x, const Tensor& y, int wave) {
  Tensor height = at::addcmul(region.number(kSize + 2), region.number(kSize + 1), x.slice(2, 0, 1));
  const float turn = 6.2831853f;
  if (wave == 0) height = at::sin(height * turn) + 0.35 * at::sin(height * (turn * 2.3f) + 1.0);
  if (wave == 1) height = 1 - 2 * (height - at::floor(height) - 0.5).abs() * 2;
  if (wave == 2) height = at::sqrt(at::sin(height * (turn / 2)).abs()) * 2 - 1;
  return -(y + height * region.number(kSize));
}

Tensor distance(const Region& region, const Shape& shape) {
  const Tensor x = region.affine(kX), y = region.affine(kY);
  Tensor d = shape.form == Form::ellipse   ? ellipse_distance(region, x, y)
             : shape.form == Form::capsule ? capsule_distance(region, x, y)
             : shape.form == Form::box     ? box_distance(region, x, y)
                                           : ridge_distance(region, x, y, static_cast<int>(shape.round));
  return shape.cut < 1e2f ? at::maximum(d, y - region.number(kCut)) : d;
}

void mark_parts(const Tensor& parts, const Tensor& coverage, const Shape& shape) {
  const Tensor covered = coverage.squeeze(1) > 0.5;  // [T, y, x]
  for (int64_t person = 0; person < parts.size(0); ++person)
    parts.select(0, person).masked_fill_(covered, person == shape.person ? shape.part : 0);
}

void paint_shape(const Region& region, const Shape& shape, const Tensor& picture, const Tensor& parts) {
  const Tensor d = distance(region, shape);
  Tensor m = region.affine(kShade);
  if (shape.rim > 0) m.sub_((d * region.number(kInverseRimWidth)).add_(1).clamp_(0, 1).mul_(region.number(kRim)));
  m.clamp_(0, 1);
  const Tensor coverage = (d * -region.number(kInverseSoftness)).add_(0.5).clamp_(0, 1).mul_(region.number(kOpacity));
  const int64_t channels = picture.size(1);
  const auto tone = [&](int64_t row) { return region.table.slice(1, row, row + channels).view({-1, channels, 1, 1}); };
  picture.lerp_(at::addcmul(tone(kDark), m, tone(kSpan)), coverage);
  if (parts.defined()) mark_parts(parts, coverage, shape);
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

void paint(const Canvas& canvas, const std::vector<std::vector<Shape>>& frames) {
  if (frames.empty() || frames[0].empty()) return;
  const auto count = static_cast<int64_t>(frames[0].size()), times = static_cast<int64_t>(frames.size());
  const int64_t height = canvas.picture.size(2), width = canvas.picture.size(3);
  const float pixel = 1.0f / static_cast<float>(height);
  const auto device = canvas.picture.device();
  const Tensor numbers = at::zeros({count, times, kRows}, at::kFloat);
  std::vector<Box> boxes(frames[0].size());
  for (int64_t t = 0; t < times; ++t) {
    const auto& shapes = frames[static_cast<size_t>(t)];
    for (int64_t p = 0; p < count; ++p) {
      const Shape& shape = shapes[static_cast<size_t>(p)];
      write_numbers(shape, pixel, numbers.data_ptr<float>() + (p * times + t) * kRows);
      const Box box = extent(shape);
      const float margin = pixel + 0.5f * shape.softness;
      boxes[static_cast<size_t>(p)].add(box.left - margin, box.top - margin);
      boxes[static_cast<size_t>(p)].add(box.right + margin, box.bottom + margin);
    }
  }
  const Tensor table = numbers.to(device);
  const auto options = at::dtype(at::kFloat).device(device);
  const Tensor u = at::arange(width, options).add_(0.5).mul_(pixel).add_(canvas.left).view({1, 1, 1, -1});
  const Tensor v = at::arange(height, options).add_(0.5).mul_(pixel).view({1, 1, -1, 1});
  const auto clipped = [&](float at, int64_t limit) {
    return static_cast<int64_t>(std::clamp(at * static_cast<float>(height), 0.0f, static_cast<float>(limit)));
  };
  for (int64_t p = 0; p < count; ++p) {
    const Box& box = boxes[static_cast<size_t>(p)];
    const int64_t x0 = clipped(box.left - canvas.left, width), x1 = clipped(box.right - canvas.left + pixel, width);
    const int64_t y0 = clipped(box.top, height), y1 = clipped(box.bottom + pixel, height);
    if (x0 >= x1 || y0 >= y1) continue;
    const auto crop = [&](const Tensor& t) { return t.slice(-2, y0, y1).slice(-1, x0, x1); };
    paint_shape({table[p], u.slice(3, x0, x1), v.slice(2, y0, y1)}, frames[0][static_cast<size_t>(p)],
                crop(canvas.picture), canvas.parts.defined() ? crop(canvas.parts) : Tensor());
  }
}

}  // namespace moga
