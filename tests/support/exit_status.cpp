// See exit_status.h.
#include "tests/support/exit_status.h"

#include <cstdlib>
#include <string_view>

namespace moga::test {

bool gpu_required() {
  const char* value = std::getenv("MOGA_REQUIRE_GPU");
  return value && *value && std::string_view(value) != "0";
}

int exit_status(const Outcome& outcome, bool gpu_required) {
  if (outcome.failed || outcome.selected == 0) return kFailed;
  if (outcome.skipped == 0) return kPassed;
  return gpu_required ? kFailed : kSkipped;
}

}  // namespace moga::test
