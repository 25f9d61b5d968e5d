// Sizes on the command line: two numbers separated by x.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "moga/core/check.h"

namespace moga {

inline std::pair<int64_t, int64_t> parse_pair(const std::string& text, const char* option) {
  long long first = 0, second = 0;
  char rest = 0;
  check(std::sscanf(text.c_str(), "%lldx%lld%c", &first, &second, &rest) == 2 && first > 0 && second > 0, option,
        " is '", text, "', expected two numbers like 832x480");
  return {first, second};
}

}  // namespace moga
