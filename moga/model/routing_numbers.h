// Numbers that describe a routing, from counts alone: how evenly the groups are filled, which shots share them, and how
// far two routings of the same tokens agree. docs/inspect.md explains how to read them.
//
//   cost                M Σ_i n_i² / N²: routed attention compared with that of even groups, 1 to M
//   effective groups    M / cost = 1 / Σ_i F_i²: M if even, 1 if one group has all tokens
//   shot sharing        Σ_i c_ai c_bi / (N_a N_b): the fraction of the pairs of a token of shot a and one of shot b
//                       that are in the same group
//   adjusted Rand index agreement of two routings over pairs of tokens: 1 if equal, 0 as expected by chance
//
// None of them except the counts depends on how groups are numbered. It knows neither models nor videos.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moga {

using Counts = std::vector<std::vector<int64_t>>;  // a table: rows of equal length

struct RoutingNumbers {
  Counts shot_counts;  // [S][M]: tokens of shot s in group i
  double balance = 0;  // balance loss without α: 1 if balanced
  double entropy = 0;  // mean over the tokens of −Σ_i p_i ln p_i / ln M, in [0, 1]
  double gate = 0;     // mean of p(g(x)|x)

  std::vector<int64_t> counts() const;  // [M] tokens in each group
  double cost() const;
  double effective_groups() const;
  int64_t largest_group() const;  // the lowest number on a tie
  int64_t empty_groups() const;
  double share(int64_t group) const;  // of the tokens
  std::vector<std::vector<double>> shot_sharing() const;
  // The largest group is more than halfway from an even share 1/M to all tokens. train/loop/run_watch.h has the same
  // threshold.
  bool collapsed() const;
};

// `contingency` [A][B]: tokens in group a of one routing and group b of the other. 1 when both put all tokens into one
// group.
double adjusted_rand_index(const Counts& contingency);

}  // namespace moga
