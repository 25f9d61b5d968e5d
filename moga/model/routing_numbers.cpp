// See routing_numbers.h. Sums of squares are doubles: 563,160 tokens have 3·10¹¹ pairs, far below 2⁵³.
#include "moga/model/routing_numbers.h"

#include <algorithm>
#include <numeric>

namespace moga {
namespace {

double sum_of(const std::vector<int64_t>& counts) {
  return static_cast<double>(std::accumulate(counts.begin(), counts.end(), int64_t{0}));
}

double squares_of(const std::vector<int64_t>& counts) {
  double sum = 0;
  for (const int64_t count : counts) sum += static_cast<double>(count) * static_cast<double>(count);
  return sum;
}

double pairs(double count) { return count * (count - 1) / 2; }

}  // namespace

std::vector<int64_t> RoutingNumbers::counts() const {
  std::vector<int64_t> sums(shot_counts.empty() ? 0 : shot_counts.front().size(), 0);
  for (const auto& shot : shot_counts)
    for (size_t group = 0; group < sums.size(); ++group) sums[group] += shot[group];
  return sums;
}

double RoutingNumbers::cost() const {
  const std::vector<int64_t> groups = counts();
  const double tokens = sum_of(groups);
  return tokens > 0 ? static_cast<double>(groups.size()) * squares_of(groups) / (tokens * tokens) : 0;
}

double RoutingNumbers::effective_groups() const {
  const double own = cost();
  return own > 0 ? static_cast<double>(counts().size()) / own : 0;
}

int64_t RoutingNumbers::largest_group() const {
  const std::vector<int64_t> groups = counts();
  return std::ranges::max_element(groups) - groups.begin();
}

int64_t RoutingNumbers::empty_groups() const { return std::ranges::count(counts(), 0); }

double RoutingNumbers::share(int64_t group) const {
  const std::vector<int64_t> groups = counts();
  return static_cast<double>(groups.at(group)) / sum_of(groups);
}

std::vector<std::vector<double>> RoutingNumbers::shot_sharing() const {
  std::vector<std::vector<double>> sharing(shot_counts.size(), std::vector<double>(shot_counts.size(), 0));
  for (size_t a = 0; a < shot_counts.size(); ++a)
    for (size_t b = 0; b < shot_counts.size(); ++b) {
      double same = 0;
      for (size_t group = 0; group < shot_counts[a].size(); ++group)
        same += static_cast<double>(shot_counts[a][group]) * static_cast<double>(shot_counts[b][group]);
      sharing[a][b] = same / (sum_of(shot_counts[a]) * sum_of(shot_counts[b]));
    }
  return sharing;
}

bool RoutingNumbers::collapsed() const {
  const auto groups = static_cast<double>(counts().size());
  return groups > 1 && share(largest_group()) > (1 + 1 / groups) / 2;
}

// Hubert and Arabie 1985: (Σ_ab C(n_ab, 2) − E) / ((Σ_a C(n_a, 2) + Σ_b C(n_b, 2)) / 2 − E) with
// E = Σ_a C(n_a, 2) Σ_b C(n_b, 2) / C(N, 2).
double adjusted_rand_index(const Counts& contingency) {
  if (contingency.empty()) return 1;
  std::vector<double> columns(contingency.front().size(), 0);
  double together = 0, of_rows = 0, of_columns = 0, tokens = 0;
  for (const auto& row : contingency) {
    for (size_t column = 0; column < row.size(); ++column) {
      columns[column] += static_cast<double>(row[column]);
      together += pairs(static_cast<double>(row[column]));
    }
    of_rows += pairs(sum_of(row));
    tokens += sum_of(row);
  }
  for (const double column : columns) of_columns += pairs(column);
  const double expected = tokens > 1 ? of_rows * of_columns / pairs(tokens) : 0;
  const double largest = (of_rows + of_columns) / 2;
  return largest == expected ? 1 : (together - expected) / (largest - expected);
}

}  // namespace moga
