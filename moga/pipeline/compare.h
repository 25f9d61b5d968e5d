// How far two results are apart, for people who compare attentions, dtypes or programs: tensors of safetensors files
// (latents, weights) by relative error, videos by PSNR. Errors are relative to `expected`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace moga {

struct FileDifference {
  std::string name;   // of the tensor; "frames" for videos
  double relative;    // ‖actual - expected‖ / ‖expected‖; of videos over pixels in [-1, 1]
  double largest;     // max |actual - expected|
  double psnr = 0;    // of videos, dB over all frames; infinite for equal ones
  bool same = false;  // bit for bit
};

// Both safetensors with the same names and shapes, or both videos of one size and length. Throws one line naming what
// does not match. Memory: one tensor, or a few frames.
std::vector<FileDifference> compare_files(const std::filesystem::path& actual, const std::filesystem::path& expected);

std::string difference_table(const std::vector<FileDifference>& differences);

}  // namespace moga
