// The pixel loops of picture.h. All are separable: rows are sampled once per shot, columns once per frame.
#include "moga/data/story/picture.h"

#include <algorithm>
#include <cmath>

namespace moga {
namespace {

// Weights of a Gaussian that sum to 1; a single 1 without blur.
std::vector<float> gaussian(float sigma) {
  const int64_t radius = blur_reach(sigma);
  std::vector<float> weights;
  float sum = 0;
  for (int64_t i = -radius; i <= radius; ++i) {
    const auto distance = static_cast<float>(i);
    weights.push_back(radius == 0 ? 1.0f : std::exp(-distance * distance / (2 * sigma * sigma)));
    sum += weights.back();
  }
  for (float& weight : weights) weight /= sum;
  return weights;
}

// to[x] += weight · from[x]
MOGA_WIDE_VECTORS void add_scaled(float* __restrict to, const float* __restrict from, float weight, int64_t count) {
  for (int64_t x = 0; x < count; ++x) to[x] += weight * from[x];
}

// Where each column of an output row is sampled, between two neighbouring columns.
struct Taps {
  std::vector<int32_t> left;
  std::vector<float> fraction;

  Taps(const Positions& columns, int64_t count) : left(count), fraction(count) {
    for (int64_t x = 0; x < count; ++x) {
      const double at = columns.start + columns.step * static_cast<double>(x);
      left[x] = static_cast<int32_t>(std::floor(at));
      fraction[x] = static_cast<float>(at - std::floor(at));
    }
  }
};

MOGA_WIDE_VECTORS void put_row(float* __restrict to, const float* __restrict colour, const float* __restrict coverage,
                               float fraction, int64_t count) {
  for (int64_t x = 0; x < count; ++x) {
    const float through = 1 - (coverage[x] + fraction * (coverage[x + 1] - coverage[x]));
    to[x] = colour[x] + fraction * (colour[x + 1] - colour[x]) + through * to[x];
  }
}

MOGA_WIDE_VECTORS void put_scaled_row(float* __restrict to, const float* __restrict colour,
                                      const float* __restrict coverage, const int32_t* __restrict left,
                                      const float* __restrict fraction, int64_t count) {
  for (int64_t x = 0; x < count; ++x) {
    const int32_t at = left[x];
    const float through = 1 - (coverage[at] + fraction[x] * (coverage[at + 1] - coverage[at]));
    to[x] = colour[at] + fraction[x] * (colour[at + 1] - colour[at]) + through * to[x];
  }
}

MOGA_WIDE_VECTORS void row_to_bytes(uint8_t* __restrict to, const float* __restrict from, int64_t count) {
  for (int64_t x = 0; x < count; ++x)
    to[x] = static_cast<uint8_t>(static_cast<int32_t>(std::clamp(from[x], 0.0f, 1.0f) * 255 + 0.5f));
}

}  // namespace

Picture::Picture(int64_t channels, int64_t height, int64_t width)
    : channels(channels),
      height(height),
      width(width),
      stride((width + kPixelsAtOnce - 1) / kPixelsAtOnce * kPixelsAtOnce),
      values(channels * height * stride + kPixelsAtOnce) {}  // sampling reads one pixel beyond the end

int64_t blur_reach(float sigma) { return static_cast<int64_t>(std::ceil(2.5f * sigma)); }

Picture sampled_rows(const Picture& picture, const Positions& rows, int64_t first, int64_t last, float sigma) {
  const std::vector<float> weights = gaussian(sigma);
  const auto radius = static_cast<int64_t>(weights.size()) / 2;
  Picture result(4, picture.height, last - first);
  const int64_t from = std::max<int64_t>(0, first - radius), to = std::min(picture.width, last + radius);
  std::vector<float> line(last - first + 2 * radius);
  const auto row_of = [&](int64_t y) { return std::clamp<int64_t>(y, 0, picture.height - 1); };
  for (int64_t channel = 0; channel < 4; ++channel)
    for (int64_t y = 0; y < picture.height; ++y) {
      const double at = rows.start + rows.step * static_cast<double>(y);
      const auto above = static_cast<int64_t>(std::floor(at));
      const auto fraction = static_cast<float>(at - std::floor(at));
      std::ranges::fill(line, 0.0f);
      float* inner = line.data() + (from - first + radius);
      for (int64_t i = 0; i <= 2 * radius + 1; ++i) {
        const float weight =
            (i <= 2 * radius ? weights[i] * (1 - fraction) : 0) + (i > 0 ? weights[i - 1] * fraction : 0);
        add_scaled(inner, picture.row(channel, row_of(above + i - radius)) + from, weight, to - from);
      }
      std::fill(line.data(), inner, inner[0]);
      std::fill(inner + (to - from), line.data() + line.size(), inner[to - from - 1]);
      for (int64_t i = 0; i <= 2 * radius; ++i)
        add_scaled(result.row(channel, y), line.data() + i, weights[i], last - first);
    }
  return result;
}

Sheet::Sheet(Picture of) : picture(std::move(of)) {
  for (int64_t y = 0; y < picture.height; ++y) {
    const float* begin = picture.row(3, y);
    const float* end = begin + picture.width;
    const auto covered = [](float coverage) { return coverage > 0; };
    const auto first = std::find_if(begin, end, covered);
    const auto last = std::find_if(std::reverse_iterator(end), std::reverse_iterator(first), covered).base();
    spans.push_back({first - begin, last - begin});
  }
}

void put_over(Picture& picture, const Sheet& sheet, const Positions& columns) {
  const Taps taps(columns, picture.width);
  for (int64_t y = 0; y < picture.height; ++y) {
    const Sheet::Span span = sheet.spans[y];
    // An output column is covered if either of its two source columns is.
    const int64_t begin = std::lower_bound(taps.left.begin(), taps.left.end(), span.begin - 1) - taps.left.begin();
    const int64_t end = std::lower_bound(taps.left.begin(), taps.left.end(), span.end) - taps.left.begin();
    if (begin >= end) continue;
    const float* coverage = sheet.picture.row(3, y);
    for (int64_t channel = 0; channel < picture.channels; ++channel) {
      float* to = picture.row(channel, y) + begin;
      const float* colour = sheet.picture.row(channel, y);
      if (columns.step == 1)
        put_row(to, colour + taps.left[begin], coverage + taps.left[begin], taps.fraction[0], end - begin);
      else
        put_scaled_row(to, colour, coverage, &taps.left[begin], &taps.fraction[begin], end - begin);
    }
  }
}

void to_bytes(const Picture& picture, uint8_t* bytes) {
  for (int64_t channel = 0; channel < 3; ++channel)
    for (int64_t y = 0; y < picture.height; ++y)
      row_to_bytes(bytes + (channel * picture.height + y) * picture.width, picture.row(channel, y), picture.width);
}

}  // namespace moga
