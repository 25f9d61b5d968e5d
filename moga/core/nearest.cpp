// See nearest.h.
#include "moga/core/nearest.h"

#include <algorithm>
#include <numeric>

namespace moga {
namespace {

// Levenshtein distance.
size_t distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest(const std::string& name, const std::vector<std::string>& known) {
  const auto edits = [&](const std::string& other) { return distance(name, other); };
  const auto found = std::ranges::min_element(known, {}, edits);
  return found != known.end() && edits(*found) <= std::max<size_t>(2, name.size() / 3) ? *found : "";
}

std::string did_you_mean(const std::string& name, const std::vector<std::string>& known) {
  const std::string meant = nearest(name, known);
  return meant.empty() ? "" : "; did you mean '" + meant + "'?";
}

}  // namespace moga
