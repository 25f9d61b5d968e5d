// See resample.h. Follows src/libImaging/Resample.c of Pillow, where the order of operations decides single bits.
#include "moga/model/image/resample.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "moga/core/check.h"

namespace moga {
namespace {

constexpr int kFraction = 32 - 8 - 2;  // bits after the point: 8 for the value, 2 for a sum of weights beyond 1

double bicubic(double x) {
  constexpr double kA = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((kA + 2.0) * x - (kA + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * kA;
  return 0.0;
}

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double lanczos(double x) { return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }

// What an output pixel is made of: input pixels from `begin` on, and their weights.
struct Taps {
  int64_t begin = 0;
  std::vector<int32_t> weights;
};

std::vector<Taps> taps_of(int64_t in, int64_t out, Filter filter) {
  const auto function = filter == Filter::kBicubic ? bicubic : lanczos;
  const double scale = static_cast<double>(in) / static_cast<double>(out), widening = std::max(scale, 1.0);
  const double support = (filter == Filter::kBicubic ? 2.0 : 3.0) * widening, narrowing = 1.0 / widening;
  std::vector<Taps> all;
  for (int64_t i = 0; i < out; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto begin = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const auto end = std::min<int64_t>(in, static_cast<int64_t>(centre + support + 0.5));
    std::vector<double> weights;
    double sum = 0;
    for (int64_t x = begin; x < end; ++x) {
      weights.push_back(function((static_cast<double>(x) - centre + 0.5) * narrowing));
      sum += weights.back();
    }
    Taps taps{begin, {}};
    for (double weight : weights) {
      if (sum != 0.0) weight /= sum;
      const double fixed = weight * (1 << kFraction);
      taps.weights.push_back(static_cast<int32_t>(weight < 0 ? fixed - 0.5 : fixed + 0.5));
    }
    all.push_back(std::move(taps));
  }
  return all;
}

uint8_t rounded(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kFraction, 0, 255)); }

// One pass over the last dimension: [rows, in] → [rows, out].
at::Tensor along_rows(const at::Tensor& rows, int64_t out, Filter filter) {
  const int64_t in = rows.size(1);
  const std::vector<Taps> taps = taps_of(in, out, filter);
  const at::Tensor result = at::empty({rows.size(0), out}, at::kByte);
  const uint8_t* from = rows.const_data_ptr<uint8_t>();
  uint8_t* to = result.data_ptr<uint8_t>();
  at::parallel_for(0, rows.size(0), 16, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row)
      for (int64_t i = 0; i < out; ++i) {
        int32_t sum = 1 << (kFraction - 1);
        const uint8_t* pixel = from + row * in + taps[i].begin;
        for (const int32_t weight : taps[i].weights) sum += *pixel++ * weight;
        to[row * out + i] = rounded(sum);
      }
  });
  return result;
}

}  // namespace

at::Tensor resample(const at::Tensor& image, int64_t height, int64_t width, Filter filter) {
  check(image.dim() == 3 && image.scalar_type() == at::kByte && image.numel() > 0, "resample: image is ",
        image.scalar_type(), " ", image.sizes(), ", expected uint8 [C, Y, X]");
  check(height > 0 && width > 0, "resample: size ", width, "x", height, ", expected a positive one");
  at::Tensor result = image.cpu().contiguous();
  const int64_t channels = result.size(0);
  if (result.size(2) != width)
    result = along_rows(result.flatten(0, 1), width, filter).view({channels, image.size(1), width});
  if (result.size(1) != height)
    result = along_rows(result.transpose(1, 2).contiguous().flatten(0, 1), height, filter)
                 .view({channels, width, height})
                 .transpose(1, 2)
                 .contiguous();
  return result;
}

}  // namespace moga
