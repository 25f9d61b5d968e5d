// A rank that is late makes the others wait; its own work is the longest.
#include "moga/parallel/wait_time.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/support/error.h"
#include "tests/support/ranks.h"

namespace moga::test {
namespace {

constexpr double kLate = 0.3;  // seconds

MOGA_RANKS(one_is_late) {
  world.barrier();
  WaitTime time(at::kCPU);
  world.barrier();  // all ranks count before one is late
  for (int64_t step = 0; step < 2; ++step) {
    if (world.rank() == 1) std::this_thread::sleep_for(std::chrono::duration<double>(kLate / 2));
    world.all_reduce(at::ones({8}));
  }
  const StepTime found = time.seconds();
  check(found.seconds >= kLate, "the step took ", found.seconds, " s");
  if (world.rank() == 1)
    check(found.own() >= kLate && found.waited < kLate / 2, "own ", found.own(), " s, waited ", found.waited);
  else
    check(found.waited > kLate / 2 && found.own() < kLate / 2, "own ", found.own(), " s, waited ", found.waited);
}

TEST(WaitTime, TheLateRankWaitsLeast) { EXPECT_EQ(run_ranks("one_is_late", 3).line, ""); }

TEST(WaitTime, OneAtATime) {
  const WaitTime first(at::kCPU);
  EXPECT_EQ(error_of([] { WaitTime second(at::kCPU); }), "the time that ranks wait is counted already");
}

TEST(WaitTime, CountsNothingAfterItsEnd) {
  WaitTime time(at::kCPU);
  time.stop();
  { const WaitTime::Wait wait(at::kCPU); }
  EXPECT_EQ(time.seconds().waited, 0);
  WaitTime(at::kCPU).stop();  // another one may count
}

}  // namespace
}  // namespace moga::test
