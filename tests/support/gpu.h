// Skips a GPU test by name on a machine without a GPU; with MOGA_REQUIRE_GPU=1 that is a failure.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>

#include "moga/core/device.h"

#define MOGA_NEEDS_GPU()                                                              \
  if (!moga::cuda_available()) {                                                      \
    if (std::getenv("MOGA_REQUIRE_GPU")) FAIL() << "MOGA_REQUIRE_GPU is set: no GPU"; \
    GTEST_SKIP() << "no GPU";                                                         \
  }                                                                                   \
  static_assert(true)
