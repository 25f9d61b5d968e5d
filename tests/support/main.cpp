// The main function of every test program, and of the ranks that its tests start (ranks.h). A suite named *Gpu* begins
// with MOGA_NEEDS_GPU (gpu.h); what a skipped test does to the exit status is decided in exit_status.h.
#include <gtest/gtest.h>

#include <iostream>

#include "moga/core/device.h"
#include "moga/core/log.h"
#include "tests/support/exit_status.h"
#include "tests/support/ranks.h"

int main(int argc, char** argv) {
  if (const auto status = moga::test::run_as_rank()) return *status;
  testing::InitGoogleTest(&argc, argv);
  if (GTEST_FLAG_GET(list_tests)) return RUN_ALL_TESTS();
  moga::set_quiet(true);
  moga::cuda_available();  // loads CUDA if there is a GPU, before a CPU test initialises ATen without it
  const bool failed = RUN_ALL_TESTS() != 0, required = moga::test::gpu_required();
  const testing::UnitTest& tests = *testing::UnitTest::GetInstance();
  if (tests.test_to_run_count() == 0) std::cerr << "no test matches the filter\n";
  if (required && tests.skipped_test_count() > 0)
    std::cerr << tests.skipped_test_count() << " tests were skipped, expected none: MOGA_REQUIRE_GPU is set\n";
  return moga::test::exit_status(
      {.selected = tests.test_to_run_count(), .skipped = tests.skipped_test_count(), .failed = failed}, required);
}
