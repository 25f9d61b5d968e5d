// Comparing two frames. See picture_difference.h.
#include "moga/data/cuts/picture_difference.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace moga {
namespace {

constexpr int kWidth = ReducedFrame::kWidth, kHeight = ReducedFrame::kHeight;
constexpr int kBlockWidth = 8, kBlockHeight = 6, kReach = 4;

uint8_t byte(float value) { return static_cast<uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f)); }

int block_difference(const uint8_t* a, const uint8_t* b) {
  int sum = 0;
  for (int y = 0; y < kBlockHeight; ++y)
    for (int x = 0; x < kBlockWidth; ++x) sum += std::abs(int{a[y * kWidth + x]} - int{b[y * kWidth + x]});
  return sum;
}

// Of the block of `a` at (x, y): the least difference from `b` within reach, luma and half of chroma.
double moved_difference(const ReducedFrame& a, const ReducedFrame& b, int x, int y) {
  const int at = y * kWidth + x;
  int best = block_difference(&a.planes[0][at], &b.planes[0][at]), best_at = at;
  for (int v = std::max(0, y - kReach); v <= std::min(kHeight - kBlockHeight, y + kReach); ++v)
    for (int u = std::max(0, x - kReach); u <= std::min(kWidth - kBlockWidth, x + kReach); ++u) {
      const int found = block_difference(&a.planes[0][at], &b.planes[0][v * kWidth + u]);
      if (found < best) {
        best = found;
        best_at = v * kWidth + u;
      }
    }
  double chroma = 0;
  for (int plane = 1; plane < 3; ++plane) chroma += block_difference(&a.planes[plane][at], &b.planes[plane][best_at]);
  return best + 0.5 * chroma;
}

}  // namespace

ReducedFrame::ReducedFrame(const uint8_t* rgb) : means{}, histogram{} {
  double sum = 0, squares = 0;
  for (int i = 0; i < kPixels; ++i) {
    const float r = rgb[3 * i], g = rgb[3 * i + 1], b = rgb[3 * i + 2];
    const float luma = 0.299f * r + 0.587f * g + 0.114f * b;
    planes[0][i] = byte(luma);
    planes[1][i] = byte(128 + 0.564f * (b - luma));
    planes[2][i] = byte(128 + 0.713f * (r - luma));
    sum += luma;
    squares += double{luma} * luma;
    const int cell = (i / kWidth / 4) * (kWidth / 4) + i % kWidth / 4;
    for (int plane = 0; plane < 3; ++plane) {
      means[plane * kMeans / 3 + cell] += planes[plane][i] / 16.0f;
      histogram[plane * kBins + planes[plane][i] * kBins / 256] += 1.0f / kPixels;
    }
  }
  luma_mean = static_cast<float>(sum / kPixels);
  luma_deviation = static_cast<float>(std::sqrt(std::max(0.0, squares / kPixels - sum / kPixels * (sum / kPixels))));
}

double difference(const ReducedFrame& a, const ReducedFrame& b) {
  double moved = 0;
  for (int y = 0; y < kHeight; y += kBlockHeight)
    for (int x = 0; x < kWidth; x += kBlockWidth) moved += moved_difference(a, b, x, y);
  double histograms = 0;
  for (size_t i = 0; i < a.histogram.size(); ++i) histograms += std::abs(a.histogram[i] - b.histogram[i]);
  const double deviation = 0.5 * (a.luma_deviation + b.luma_deviation);
  return moved / ReducedFrame::kPixels / (deviation + 6) + histograms / 6 / 2;
}

}  // namespace moga
