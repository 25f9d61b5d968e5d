// Numbers in tables, printf's way. Private to bench.
#pragma once

#include <cstdio>
#include <string>

namespace moga {

inline constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

// At most 255 bytes.
template <class... Values>
std::string formatted(const char* format, Values... values) {
  char text[256];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

}  // namespace moga
