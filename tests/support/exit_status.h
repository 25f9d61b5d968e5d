// The exit status of a test program, from what its tests did:
//
//   1   a test failed; no test was selected; or a test was skipped although MOGA_REQUIRE_GPU is set
//   77  nothing failed and at least one test was skipped: CTest reports the entry as skipped (SKIP_RETURN_CODE)
//   0   every selected test passed
//
// One skipped test marks its whole entry, so that it cannot look like a test that ran.
#pragma once

namespace moga::test {

inline constexpr int kPassed = 0, kFailed = 1, kSkipped = 77;

struct Outcome {
  int selected = 0, skipped = 0;
  bool failed = false;
};

// MOGA_REQUIRE_GPU is set to anything except "" and "0".
bool gpu_required();

int exit_status(const Outcome& outcome, bool gpu_required);

}  // namespace moga::test
