// The random choices of a story, from one counter per purpose, so that adding a choice in one place changes no other.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "moga/core/random.h"

namespace moga {

class Dice {
 public:
  Dice(uint64_t seed, std::string purpose) : seed_(seed), purpose_(std::move(purpose)) {}

  double uniform() { return static_cast<double>(random_key(seed_, purpose_, next_++) >> 11) * 0x1p-53; }  // [0, 1)
  float between(double low, double high) { return static_cast<float>(low + (high - low) * uniform()); }
  int64_t below(int64_t count) { return static_cast<int64_t>(uniform() * static_cast<double>(count)); }
  bool chance(double probability) { return uniform() < probability; }
  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[static_cast<size_t>(below(static_cast<int64_t>(from.size())))];
  }

 private:
  uint64_t seed_;
  std::string purpose_;
  uint64_t next_ = 0;
};

}  // namespace moga
