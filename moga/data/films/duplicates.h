// Shots that repeat earlier ones, by the hashes of a few of their frames (picture_hash). Copies in another size, rate
// or compression are found; parts of a shot are not, because a repeated camera position in a dialogue looks the same: a
// duplicate has the duration of its original.
#pragma once

#include <vector>

#include "moga/data/films/shots.h"

namespace moga {

inline constexpr int64_t kHashesPerShot = 5;
inline constexpr double kSameSeconds = 0.1;  // by which durations of duplicates may differ

struct Duplicate {
  ShotName shot, earlier;
  double bits = 0;  // of 64, mean over the frames
};

// `scores`: lines of score.jsonl. Shots that are dropped for another reason repeat nothing and are not repeated.
std::vector<Duplicate> find_duplicates(const std::vector<Record>& shots, const std::vector<Record>& scores,
                                       double most_bits);

}  // namespace moga
