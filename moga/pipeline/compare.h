// How far two results are apart, for people who compare attentions, dtypes or programs: tensors of safetensors files
// (latents, weights) and of model folders by relative error, videos by PSNR. `expected` is what the error is relative
// to.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace moga {

struct FileDifference {
  std::string name;   // name of the tensor, or "frames" for videos
  double relative;    // ‖actual - expected‖ / ‖expected‖; of videos over pixels in [-1, 1]
  double largest;     // max |actual - expected|
  double psnr = 0;    // for videos, in dB over all frames; infinite if they are equal
  bool same = false;  // bit for bit
};

// Both safetensors with the same names and shapes, or model folders with the same tensors (in any layout: a folder
// equals its export under other names), or both videos of one size and length. Throws one
// line naming what does not match. Memory: one tensor, or a few frames.
std::vector<FileDifference> compare_files(const std::filesystem::path& actual, const std::filesystem::path& expected);

inline constexpr int64_t kMostDifferences = 20;

// Up to `rows` of those that differ, the largest relative error first, and one line of summary.
std::string difference_table(const std::vector<FileDifference>& differences, int64_t rows = kMostDifferences);
std::string difference_json(const std::vector<FileDifference>& differences);

// Throws one line when a relative error is above the tolerance, or is not a number.
void check_difference(const std::vector<FileDifference>& differences, double tolerance);

}  // namespace moga
