// A frame reduced to 64 x 36 for comparing: luma and chroma planes, means of 4 x 4 pixels, and a histogram.
//
//   difference(a, b) = r / (σ + 6) + h / 2
//
// r: mean absolute difference of luma (and half of chroma) after each block of 8 x 6 pixels has moved to where it fits
// best within 4 pixels, so that motion counts little; σ: deviation of luma; h: half the L1 distance of histograms.
#pragma once

#include <array>
#include <cstdint>

namespace moga {

struct ReducedFrame {
  static constexpr int kWidth = 64, kHeight = 36, kPixels = kWidth * kHeight;
  static constexpr int kMeans = 3 * (kWidth / 4) * (kHeight / 4), kBins = 24;

  explicit ReducedFrame(const uint8_t* rgb);  // [36, 64, 3]

  std::array<std::array<uint8_t, kPixels>, 3> planes;  // Y, Cb, Cr
  std::array<float, kMeans> means;                     // of 4 x 4 pixels, plane by plane
  std::array<float, 3 * kBins> histogram;              // of each plane, sums to 1 each
  float luma_mean = 0, luma_deviation = 0;
};

double difference(const ReducedFrame& a, const ReducedFrame& b);

}  // namespace moga
