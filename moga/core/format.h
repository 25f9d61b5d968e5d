// Formats numbers as text, like printf.
#pragma once

#include <cstdio>
#include <string>

namespace moga {

// At most 255 bytes.
template <class... Values>
std::string formatted(const char* format, Values... values) {
  char text[256];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

}  // namespace moga
