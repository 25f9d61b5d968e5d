// See compare.h. Sums are float64.
#include "moga/pipeline/compare.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/format.h"
#include "moga/core/interrupt.h"
#include "moga/core/json_text.h"
#include "moga/core/safetensors.h"
#include "moga/data/video/video.h"
#include "moga/pipeline/describe_fit.h"

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

// The tensors of a file by the names that are compared.
using Names = std::map<std::string, std::string>;

Names own_names(const Safetensors& file) {
  Names names;
  for (const std::string& name : file.names()) names[name] = name;
  return names;
}

// By the module's own names, which do not depend on the layout of the file. Tensors that the model has no use for keep
// their names, so that none is left out.
Names names_in_module(const fs::path& folder, ModelPart part) {
  const FileFit fit = fit_of_part(folder, part);
  for (const Misfit& misfit : fit.misfits) fail(folder.string(), ": tensor ", misfit.name, " ", misfit.problem);
  Names names = fit.file_names;
  for (const auto& others : {fit.report.unused, fit.report.harmless})
    for (const std::string& name : others) names[name] = name;
  return names;
}

struct Named {
  const Safetensors& file;
  const Names& names;
  std::string folder;
};

void check_contains(const Named& one, const Named& other) {
  for (const auto& [name, in_file] : one.names)
    check(other.names.contains(name), one.folder, " has a tensor ", quoted(in_file), ", ", other.folder, " has none");
}

std::vector<FileDifference> compare_named(const Named& a, const Named& b) {
  check_contains(a, b);
  check_contains(b, a);
  std::vector<FileDifference> differences;
  for (const auto& [name, in_b] : b.names) {
    const std::string& in_a = a.names.at(name);
    check(a.file.shape(in_a) == b.file.shape(in_b), in_b, " is ", at::IntArrayRef(a.file.shape(in_a)), " in ", a.folder,
          " and ", at::IntArrayRef(b.file.shape(in_b)), " in ", b.folder);
    Sums sums;
    sums.add(a.file.load(in_a), b.file.load(in_b));
    differences.push_back({.name = in_b, .relative = sums.relative(), .largest = sums.largest, .same = sums.same});
  }
  return differences;
}

std::vector<FileDifference> compare_tensors(const fs::path& actual, const fs::path& expected) {
  const Safetensors a(actual), b(expected);
  return compare_named({a, own_names(a), actual.string()}, {b, own_names(b), expected.string()});
}

// Parts under different names are compared by the names of the module that both are read into.
std::vector<FileDifference> compare_parts(const fs::path& actual, const fs::path& expected, ModelPart part) {
  const Safetensors a(actual), b(expected);
  if (a.names() == b.names()) return compare_tensors(actual, expected);
  return compare_named({a, names_in_module(actual, part), actual.string()},
                       {b, names_in_module(expected, part), expected.string()});
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

bool is_model(const fs::path& path) { return fs::is_directory(path / "transformer"); }

std::vector<FileDifference> compare_models(const fs::path& actual, const fs::path& expected) {
  std::vector<FileDifference> all;
  for (const auto& choice : kChoices<ModelPart>) {
    const std::string part = choice.name;
    const bool here = fs::is_directory(actual / part), there = fs::is_directory(expected / part);
    check(here == there, (here ? expected : actual).string(), " has no ", part, ", ",
          (here ? actual : expected).string(), " has one");
    if (!here) continue;
    for (FileDifference& row : compare_parts(actual / part, expected / part, choice.value)) {
      row.name = part + "/" + row.name;
      all.push_back(std::move(row));
    }
  }
  return all;
}

// The largest relative error first; one that is no number before all others.
std::vector<FileDifference> by_error(std::vector<FileDifference> differences) {
  const auto key = [](const FileDifference& row) {
    if (std::isnan(row.relative)) return std::numeric_limits<double>::infinity();
    return row.same ? -1.0 : row.relative;
  };
  std::ranges::stable_sort(differences, std::ranges::greater(), key);
  return differences;
}

std::string row_text(const FileDifference& row) {
  std::string text = row.name + formatted("  relative error %.3e, largest %.3e", row.relative, row.largest);
  if (row.psnr != 0 && !row.same) text += formatted(", PSNR %.2f dB", row.psnr);
  return text + "\n";
}

}  // namespace

std::vector<FileDifference> compare_files(const fs::path& actual, const fs::path& expected) {
  for (const fs::path& path : {actual, expected}) {
    std::error_code error;
    const bool there = fs::exists(path, error);
    check(there, path.string(), ": ", error ? error.message() : "no such file or folder");
  }
  check(is_model(actual) == is_model(expected), actual.string(), " and ", expected.string(),
        ": expected two model folders");
  if (is_model(actual)) return compare_models(actual, expected);
  const auto tensors = [](const fs::path& path) {
    return path.extension() == ".safetensors" || fs::is_directory(path);
  };
  check(tensors(actual) == tensors(expected), actual.string(), " and ", expected.string(),
        ": expected two safetensors or two videos");
  return tensors(actual) ? compare_tensors(actual, expected) : compare_videos(actual, expected);
}

std::string difference_table(const std::vector<FileDifference>& differences, int64_t rows) {
  const std::vector<FileDifference> order = by_error(differences);
  const auto equal = std::ranges::count_if(order, [](const FileDifference& row) { return row.same; });
  const int64_t different = static_cast<int64_t>(order.size()) - equal;
  std::string table;
  for (int64_t i = 0; i < std::min(rows, different); ++i) table += row_text(order[i]);
  if (different > rows) table += "... and " + std::to_string(different - rows) + " that differ less\n";
  table += std::to_string(order.size()) + " compared, " + std::to_string(equal) + " equal bit for bit";
  if (different > 0)
    table += formatted("; largest relative error %.3e in ", order.front().relative) + order.front().name;
  return table + "\n";
}

std::string difference_json(const std::vector<FileDifference>& differences) {
  nlohmann::json rows = nlohmann::json::array();
  for (const FileDifference& row : differences) {
    nlohmann::json json = {
        {"name", row.name}, {"relative_error", row.relative}, {"largest_error", row.largest}, {"equal", row.same}};
    if (row.psnr != 0) json["psnr"] = row.psnr;  // infinity is null in JSON
    rows.push_back(std::move(json));
  }
  return nlohmann::json{{"differences", rows}}.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void check_difference(const std::vector<FileDifference>& differences, double tolerance) {
  if (differences.empty()) return;
  const FileDifference worst = by_error(differences).front();
  if (worst.same || worst.relative <= tolerance) return;
  fail(worst.name, " differs: relative error ", worst.relative, ", tolerance ", tolerance);
}

}  // namespace moga
