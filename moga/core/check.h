// Errors of the library: one exception type whose message is one clear line, and the check that throws it.
//
//   check(rows == expected, path, ": tensor ", name, " has ", rows, " rows, expected ", expected);
//
// The message contains the values and what was expected. Programs print what() and return 1.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace moga {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw Error(message.str());
}

template <class... Parts>
void check(bool holds, const Parts&... parts) {
  if (!holds) fail(parts...);
}

}  // namespace moga
