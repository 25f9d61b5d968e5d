// The main of every test program. A suite named *Gpu* begins with MOGA_NEEDS_GPU (gpu.h).
#include <gtest/gtest.h>

#include "moga/core/device.h"
#include "moga/core/log.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  moga::set_quiet(true);
  moga::cuda_available();  // loads CUDA, where there is a GPU, before a CPU test can make ATen settle without it
  return RUN_ALL_TESTS();
}
