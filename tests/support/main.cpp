// The main of every test program, which is also the ranks of its tests (ranks.h). A suite named *Gpu* begins with
// MOGA_NEEDS_GPU (gpu.h).
#include <gtest/gtest.h>

#include "moga/core/device.h"
#include "moga/core/log.h"
#include "tests/support/ranks.h"

int main(int argc, char** argv) {
  moga::set_quiet(true);
  if (const auto status = moga::test::run_as_rank()) return *status;
  testing::InitGoogleTest(&argc, argv);
  moga::cuda_available();  // loads CUDA, where there is a GPU, before a CPU test can make ATen settle without it
  return RUN_ALL_TESTS();
}
