// The message of an error that a test expects. A test compares the text: a throw alone does not show that the message
// names what was wrong.
#pragma once

#include <string>

#include "moga/core/check.h"

namespace moga::test {

// The message of the Error that `work` throws, or "" when it throws none. Other exceptions pass through.
template <class Work>
std::string error_of(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace moga::test
