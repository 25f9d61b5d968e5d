// What work that must fail says.
#pragma once

#include <string>

#include "moga/core/check.h"

namespace moga::test {

// The message of the Error that `work` throws; empty when it throws none.
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
