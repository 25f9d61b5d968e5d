// Painting shapes: the numbers of all shapes go to the device in one copy; a shape then costs about twenty operations
// on the box that holds it in all frames. Everything affine in (u, v) is evaluated by the same three of them.
#include "moga/data/story_shapes.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "moga/core/check.h"

namespace moga {
namespace {

using at::Tensor;

// Rows of the table that holds the numbers of one shape, each a number a frame. First the coefficients of affine
// functions of (u, v, 1), all evaluated together: own y − cut, the shade m, and what the form needs.
constexpr int64_t kAffine = 7;
enum Function : int64_t { kBelowCut, kM, kForm };
enum Row : int64_t {
  kSize = 3 * kAffine,  // lengths of the form
  kZero = kSize + 3,    // bounds of clamps
  kRim,
  kRimSlope,  // rim · (1 + d / rim_width)
  kOpacity,
  kHalf,
  kEdgeSlope,  // opacity · (1/2 − d / softness)
  kDark,
  kSpan = kDark + 4,
  kRows = kSpan + 4
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

struct Affine {
  float u, v, one;
  Affine operator*(float by) const { return {u * by, v * by, one * by}; }
  Affine operator+(float more) const { return {u, v, one + more}; }
};

// Writes row r of this shape in this frame to to[r · stride].
struct Writer {
  float* to;
  int64_t stride;
  void set(int64_t row, float value) const { to[row * stride] = value; }
  void set(Function function, const Affine& affine) const {
    set(function, affine.u), set(kAffine + function, affine.v), set(2 * kAffine + function, affine.one);
  }
  void form(int64_t index, const Affine& affine) const { set(static_cast<Function>(kForm + index), affine); }
};

void write_form(const Shape& shape, const Affine& x, const Affine& y, const Writer& write) {
  const float a = shape.a, b = shape.b, c = shape.c, round = shape.round;
  switch (shape.form) {
    case Form::ellipse:
      write.form(0, x * (1 / a)), write.form(1, y * (1 / b));
      write.form(2, x * (1 / (a * a))), write.form(3, y * (1 / (b * b)));
      return;
    case Form::capsule:
      write.form(0, x * (1 / std::max(a, 1e-6f))), write.form(1, x), write.form(2, y);
      write.set(kSize, -a), write.set(kSize + 1, b), write.set(kSize + 2, c - b);
      return;
    case Form::box: {
      const float slope = (b - a) / (2 * c), cosine = 1 / std::sqrt(1 + slope * slope);
      write.form(0, x * cosine), write.form(1, y);
      write.form(2, y * (slope * cosine) + (0.5f * (a + b) * cosine - round));
      write.set(kSize, c - round), write.set(kSize + 1, round);
      return;
    }
    case Form::ridge:
      write.form(0, x * b + c), write.form(1, y);
      write.set(kSize, a);
      return;
  }
}

void write_numbers(const Shape& shape, float pixel, const Writer& write) {
  const float cosine = std::cos(shape.angle), sine = std::sin(shape.angle);
  const Affine x{cosine, sine, -cosine * shape.u - sine * shape.v};
  const Affine y{-sine, cosine, sine * shape.u - cosine * shape.v};
  write.set(kBelowCut, y + -shape.cut);
  write.set(kM, {shape.shade[1], shape.shade[2], shape.shade[0]});
  write_form(shape, x, y, write);
  write.set(kRim, shape.rim), write.set(kRimSlope, shape.rim / shape.rim_width);
  write.set(kOpacity, shape.opacity), write.set(kHalf, 0.5f * shape.opacity);
  write.set(kEdgeSlope, -shape.opacity / (shape.softness + pixel));
  for (int channel = 0; channel < 3; ++channel) {
    write.set(kDark + channel, shape.dark[channel]);
    write.set(kSpan + channel, shape.light[channel] - shape.dark[channel]);
  }
  write.set(kDark + 3, 1), write.set(kSpan + 3, 0);
}

// One shape in all frames, inside the box that holds it.
struct Region {
  Tensor table;  // [rows, T, 1, 1, 1]
  Tensor u, v;   // [x], [y, 1]

  Tensor number(int64_t row) const { return table.select(0, row); }  // [T, 1, 1, 1]
  // Functions [first, last) of all pixels: each [T, 1, y, x].
  std::vector<Tensor> functions(int64_t first, int64_t last) const {
    const auto coefficients = [&](int64_t which) {
      return table.slice(0, which * kAffine + first, which * kAffine + last);
    };
    const Tensor values = coefficients(0) * u + at::addcmul(coefficients(2), coefficients(1), v);
    return values.unbind(0);
  }
};

Tensor ellipse_distance(const Tensor* f) {
  // The bounds keep the middle, where both vanish, far inside.
  const Tensor reach = at::hypot(f[0], f[1]).clamp_min_(1e-3), slope = at::hypot(f[2], f[3]).clamp_min_(1e-5);
  return (reach - 1).mul_(reach).div_(slope);
}

Tensor capsule_distance(const Region& region, const Tensor* f) {
  const Tensor along = f[0].clamp_(0, 1);
  return at::hypot(at::addcmul(f[1], along, region.number(kSize)), f[2])
      .sub_(at::addcmul(region.number(kSize + 1), along, region.number(kSize + 2)));
}

Tensor box_distance(const Region& region, const Tensor* f) {
  const Tensor p = f[0].abs_().sub_(f[2]), q = f[1].abs().sub_(region.number(kSize));
  return at::hypot(p.clamp_min(0), q.clamp_min(0)).add_(at::maximum(p, q).clamp_max_(0)).sub_(region.number(kSize + 1));
}

Tensor ridge_distance(const Region& region, const Tensor* f, int wave) {
  constexpr float kTurn = 6.2831853f;
  Tensor height = f[0].slice(2, 0, 1);  // a ridge is level: the same in all rows
  if (wave == 0) height = at::sin(height * kTurn) + 0.35 * at::sin(height * (kTurn * 2.3f) + 1.0);
  if (wave == 1) height = 1 - 4 * (height - at::floor(height) - 0.5).abs();
  if (wave == 2) height = at::sqrt(at::sin(height * (kTurn / 2)).abs()) * 2 - 1;
  return at::addcmul(f[1], height, region.number(kSize)).neg_();
}

Tensor distance(const Region& region, const Shape& shape, const Tensor* f) {
  switch (shape.form) {
    case Form::ellipse:
      return ellipse_distance(f);
    case Form::capsule:
      return capsule_distance(region, f);
    case Form::box:
      return box_distance(region, f);
    case Form::ridge:
      return ridge_distance(region, f, static_cast<int>(shape.round));
  }
  fail("unknown form of a shape");
}

void mark_parts(const Tensor& parts, const Tensor& coverage, const Shape& shape) {
  const Tensor covered = coverage.squeeze(1) > 0.5;  // [T, y, x]
  for (int64_t person = 0; person < parts.size(0); ++person)
    parts.select(0, person).masked_fill_(covered, person == shape.person ? shape.part : 0);
}

// `shape` stands for all frames in what they share: form, wave, whether it is cut or has a rim, part.
void paint_shape(const Region& region, const Shape& shape, const Tensor& picture, const Tensor& parts) {
  const bool is_cut = shape.cut < 1e2f;
  constexpr int64_t kFunctions[] = {4, 3, 3, 2};  // by form
  const int64_t first = is_cut ? kBelowCut : kM;
  const std::vector<Tensor> functions = region.functions(first, kForm + kFunctions[static_cast<int64_t>(shape.form)]);
  const Tensor* f = functions.data() - first;
  Tensor d = distance(region, shape, f + kForm);
  if (is_cut) d = at::maximum(d, f[kBelowCut]);
  const Tensor& m = f[kM];
  const Tensor zero = region.number(kZero);
  if (shape.rim > 0) {
    const Tensor rim = region.number(kRim);
    m.sub_(at::addcmul(rim, d, region.number(kRimSlope)).clamp_(zero, rim));
  }
  m.clamp_(0, 1);
  const Tensor coverage =
      at::addcmul(region.number(kHalf), d, region.number(kEdgeSlope)).clamp_(zero, region.number(kOpacity));
  const int64_t channels = picture.size(1);
  const auto tone = [&](int64_t row) { return region.table.slice(0, row, row + channels).squeeze(2).transpose(0, 1); };
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
  const Tensor numbers = at::zeros({count, kRows, times, 1, 1, 1}, at::kFloat);
  std::vector<Box> boxes(frames[0].size());
  for (int64_t t = 0; t < times; ++t) {
    const auto& shapes = frames[static_cast<size_t>(t)];
    for (int64_t p = 0; p < count; ++p) {
      const Shape& shape = shapes[static_cast<size_t>(p)];
      write_numbers(shape, pixel, {.to = numbers.data_ptr<float>() + p * kRows * times + t, .stride = times});
      const Box box = extent(shape);
      const float margin = pixel + 0.5f * shape.softness;
      boxes[static_cast<size_t>(p)].add(box.left - margin, box.top - margin);
      boxes[static_cast<size_t>(p)].add(box.right + margin, box.bottom + margin);
    }
  }
  const Tensor table = numbers.to(device);
  const auto options = at::dtype(at::kFloat).device(device);
  const Tensor u = at::arange(width, options).add_(0.5).mul_(pixel).add_(canvas.left);
  const Tensor v = at::arange(height, options).add_(0.5).mul_(pixel).view({-1, 1});
  const auto clipped = [&](float at, int64_t limit) {
    return static_cast<int64_t>(std::clamp(at * static_cast<float>(height), 0.0f, static_cast<float>(limit)));
  };
  for (int64_t p = 0; p < count; ++p) {
    const Box& box = boxes[static_cast<size_t>(p)];
    const int64_t x0 = clipped(box.left - canvas.left, width), x1 = clipped(box.right - canvas.left + pixel, width);
    const int64_t y0 = clipped(box.top, height), y1 = clipped(box.bottom + pixel, height);
    if (x0 >= x1 || y0 >= y1) continue;
    const auto crop = [&](const Tensor& t) { return t.slice(-2, y0, y1).slice(-1, x0, x1); };
    paint_shape({table[p], u.slice(0, x0, x1), v.slice(0, y0, y1)}, frames[0][static_cast<size_t>(p)],
                crop(canvas.picture), canvas.parts.defined() ? crop(canvas.parts) : Tensor());
  }
}

}  // namespace moga
