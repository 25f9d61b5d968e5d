// The groupings on which grouped attention is tested: the number of query and key rows of each group.
#pragma once

#include <random>
#include <string>
#include <vector>

namespace moga::test {

struct GroupedCase {
  std::string name;
  int heads = 2;
  std::vector<int> queries, keys;  // rows of each group
};

// Two in five lengths are next to a multiple of a kernel's tile, one in five is zero, the others are arbitrary.
inline std::vector<int> random_lengths(std::mt19937& random, int groups) {
  constexpr int kTiles[] = {64, 80, 128, 176, 192};
  std::vector<int> lengths;
  for (int g = 0; g < groups; ++g) {
    const int tile = kTiles[random() % 5] * static_cast<int>(1 + random() % 3);
    const int kind = static_cast<int>(random() % 5);
    lengths.push_back(kind == 0 ? 0 : kind < 3 ? tile - 1 + static_cast<int>(random() % 3) : 1 + random() % 900);
  }
  return lengths;
}

inline std::vector<GroupedCase> grouped_cases(int fuzzed) {
  const std::vector<int> irregular{1, 17, 130, 5, 64, 300, 176, 177, 353, 192, 193};
  std::vector<GroupedCase> cases{{"one tile", 1, {128}, {128}},
                                 {"regular", 2, {128, 128, 128, 128}, {352, 352, 352, 352}},
                                 {"irregular", 3, irregular, irregular},
                                 {"empty groups", 2, {0, 20, 0, 12, 0}, {0, 20, 0, 12, 0}},
                                 {"no keys, no queries", 2, {5, 6, 0, 7}, {4, 0, 3, 9}},
                                 {"no keys at all", 2, {70, 6}, {0, 0}},
                                 {"one token", 1, {1}, {1}},
                                 {"one key", 3, {300, 1}, {1, 1}},
                                 {"all in one", 2, {3001}, {3001}},
                                 {"other keys", 2, {200, 333, 1}, {700, 5, 1000}},
                                 {"many rows", 1, std::vector<int>(1750, 40), std::vector<int>(1750, 40)},
                                 {"many keys", 1, {70}, {70000}},
                                 {"many queries", 1, {70000}, {70}}};
  std::mt19937 random(1);
  for (int i = 0; i < fuzzed; ++i) {
    const int groups = static_cast<int>(1 + random() % 12), heads = static_cast<int>(1 + random() % 4);
    std::vector<int> queries = random_lengths(random, groups), keys = random_lengths(random, groups);
    if (i % 2 == 0) keys = queries;
    cases.push_back({"fuzzed " + std::to_string(i), heads, queries, keys});
  }
  return cases;
}

}  // namespace moga::test
