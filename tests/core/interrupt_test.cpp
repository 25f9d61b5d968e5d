// The first signal is remembered, the second ends the process.
#include "moga/core/interrupt.h"

#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "moga/core/stop_scope.h"
#include "tests/support/error.h"

namespace moga {
namespace {

TEST(Interrupt, ASignalIsRemembered) {
  catch_interrupts();
  EXPECT_FALSE(interrupted());
  std::raise(SIGTERM);
  EXPECT_TRUE(interrupted());
  set_interrupted(false);
  EXPECT_FALSE(interrupted());
}

TEST(Interrupt, EvaluationsStopInsideOnlyWhereACallerAllowsIt) {
  set_interrupted(true);
  EXPECT_NO_THROW(stop_inside_if_interrupted());
  {
    const StopInside outer;
    { const StopInside inner; }
    EXPECT_THROW(stop_inside_if_interrupted(), Interrupted);  // callers distinguish it by its type
    EXPECT_EQ(test::error_of(stop_inside_if_interrupted), "interrupted");
  }
  EXPECT_NO_THROW(stop_inside_if_interrupted());
  set_interrupted(false);
}

TEST(StopScope, EndsOneThreadsWork) {
  std::atomic<bool> stop{true};
  {
    const StopScope scope(stop);
    EXPECT_TRUE(interrupted());
    EXPECT_THROW(stop_if_interrupted(), Interrupted);
    std::thread([] { EXPECT_FALSE(interrupted()); }).join();
    stop = false;
    EXPECT_FALSE(interrupted());
    stop = true;
  }
  EXPECT_FALSE(interrupted());
}

TEST(InterruptDeathTest, TheSecondSignalEndsTheProcess) {
  EXPECT_EXIT(
      {
        catch_interrupts();
        std::raise(SIGINT);
        std::raise(SIGTERM);
      },
      testing::KilledBySignal(SIGTERM), "");
}

}  // namespace
}  // namespace moga
