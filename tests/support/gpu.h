// Skips a GPU test by name on a machine without a GPU; with MOGA_REQUIRE_GPU=1 that is a failure.
#pragma once

#include <gtest/gtest.h>

#include "moga/core/device.h"
#include "tests/support/exit_status.h"

#define MOGA_NEEDS_GPU()                                                             \
  if (!moga::cuda_available()) {                                                     \
    if (moga::test::gpu_required()) FAIL() << "no GPU, but MOGA_REQUIRE_GPU is set"; \
    GTEST_SKIP() << "no GPU";                                                        \
  }                                                                                  \
  static_assert(true)
