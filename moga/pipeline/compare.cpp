// See compare.h. Sums are float64.
#include "moga/pipeline/compare.h"

#include <ATen/ATen.h>

#include <cmath>
#include <cstdio>

#include "moga/core/check.h"
#include "moga/core/interrupt.h"
#include "moga/core/safetensors.h"
#include "moga/data/video/video.h"

namespace moga {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kFramesAtOnce = 16;

struct Sums {
  double error = 0, size = 0, largest = 0;  // squared, squared, not
  int64_t count = 0;
  bool same = true;

  void add(const at::Tensor& actual, const at::Tensor& expected) {
    const at::Tensor a = actual.to(at::kDouble), b = expected.to(at::kDouble), difference = a - b;
    error += difference.square().sum().item<double>();
    size += b.square().sum().item<double>();
    if (a.numel() > 0) largest = std::max(largest, difference.abs().max().item<double>());
    count += a.numel();
    same = same && at::equal(actual, expected);
  }
  double relative() const { return same ? 0 : std::sqrt(error / size); }
};

std::vector<FileDifference> compare_tensors(const fs::path& actual, const fs::path& expected) {
  const Safetensors a(actual), b(expected);
  for (const std::string& name : a.names())
    check(b.contains(name), actual.string(), " has a tensor ", name, ", ", expected.string(), " has none");
  std::vector<FileDifference> differences;
  for (const std::string& name : b.names()) {
    check(a.contains(name), actual.string(), " has no tensor ", name, ", ", expected.string(), " has one");
    check(a.shape(name) == b.shape(name), name, " is ", at::IntArrayRef(a.shape(name)), " in ", actual.string(),
          " and ", at::IntArrayRef(b.shape(name)), " in ", expected.string());
    Sums sums;
    sums.add(a.load(name), b.load(name));
    differences.push_back({.name = name, .relative = sums.relative(), .largest = sums.largest, .same = sums.same});
  }
  return differences;
}

std::vector<FileDifference> compare_videos(const fs::path& actual, const fs::path& expected) {
  const auto a = open_video(actual), b = open_video(expected);
  check(a->info().width == b->info().width && a->info().height == b->info().height, actual.string(), " is ",
        a->info().width, "x", a->info().height, ", ", expected.string(), " is ", b->info().width, "x",
        b->info().height);
  Sums sums;
  int64_t frames = 0;
  while (true) {
    stop_if_interrupted();
    const at::Tensor x = a->read(kFramesAtOnce), y = b->read(kFramesAtOnce);
    check(x.size(0) == y.size(0), actual.string(), " and ", expected.string(),
          " have different numbers of frames: ", frames + x.size(0), " and ", frames + y.size(0), " or more");
    if (x.size(0) == 0) break;
    frames += x.size(0);
    sums.add(to_float(x), to_float(y));
  }
  check(frames > 0, actual.string(), ": no frames");
  const double psnr = 10 * std::log10(4 * static_cast<double>(sums.count) / sums.error);  // the range is 2 wide
  return {{.name = "frames", .relative = sums.relative(), .largest = sums.largest, .psnr = psnr, .same = sums.same}};
}

}  // namespace

std::vector<FileDifference> compare_files(const fs::path& actual, const fs::path& expected) {
  for (const fs::path& path : {actual, expected}) check(fs::exists(path), path.string(), ": no such file");
  const auto tensors = [](const fs::path& path) {
    return path.extension() == ".safetensors" || fs::is_directory(path);
  };
  check(tensors(actual) == tensors(expected), actual.string(), " and ", expected.string(),
        ": expected two safetensors or two videos");
  return tensors(actual) ? compare_tensors(actual, expected) : compare_videos(actual, expected);
}

std::string difference_table(const std::vector<FileDifference>& differences) {
  std::string table;
  for (const FileDifference& row : differences) {
    char text[160];
    std::snprintf(text, sizeof text, "  relative error %.3e, largest %.3e", row.relative, row.largest);
    table += row.name + text;
    std::snprintf(text, sizeof text, ", PSNR %.2f dB", row.psnr);
    if (row.psnr != 0 && !row.same) table += text;
    table += row.same ? ", equal bit for bit\n" : "\n";
  }
  return table;
}

}  // namespace moga
