// The exit status of this program itself, started again with tests that pass, fail and are skipped.
#include "tests/support/exit_status.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <string>

namespace moga::test {
namespace {

TEST(DISABLED_Outcome, Passes) {}
TEST(DISABLED_Outcome, Fails) { FAIL(); }
TEST(DISABLED_Outcome, IsSkipped) { GTEST_SKIP(); }

int status_of(const std::string& filter, const std::string& environment = "MOGA_REQUIRE_GPU=0") {
  const std::string program = " /proc/$PPID/exe --gtest_also_run_disabled_tests --gtest_filter=DISABLED_Outcome.";
  const int status = std::system(("env " + environment + program + filter + " >/dev/null 2>&1").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(ExitStatus, OfAProgram) {
  EXPECT_EQ(status_of("Passes"), 0);
  EXPECT_EQ(status_of("Passes:*.IsSkipped"), 77);
  EXPECT_EQ(status_of("*"), 1) << "a skipped test hides a failed one";
  EXPECT_EQ(status_of("IsSkipped", "MOGA_REQUIRE_GPU=1"), 1);
  EXPECT_EQ(status_of("NoSuchTest"), 1) << "a filter without tests passes";
}

TEST(ExitStatus, FailureComesFirst) {
  EXPECT_EQ(exit_status({.selected = 3, .skipped = 0, .failed = false}, false), kPassed);
  EXPECT_EQ(exit_status({.selected = 3, .skipped = 3, .failed = false}, false), kSkipped);
  EXPECT_EQ(exit_status({.selected = 3, .skipped = 1, .failed = false}, true), kFailed);
  EXPECT_EQ(exit_status({.selected = 3, .skipped = 2, .failed = true}, false), kFailed);
  EXPECT_EQ(exit_status({.selected = 0, .skipped = 0, .failed = false}, false), kFailed);
}

}  // namespace
}  // namespace moga::test
