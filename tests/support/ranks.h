// Tests on several processes: a test program starts itself as the ranks of a named body, and fails where it cannot.
//
//   MOGA_RANKS(sums) { check(sum_over(world) == 6, "…"); }                        // runs in every rank
//   TEST(Collectives, Sum) { EXPECT_EQ(run_ranks("sums", 4).line, ""); }
#pragma once

#include <optional>
#include <string>

#include "moga/parallel/process_group.h"

namespace moga::test {

struct RanksRun {
  int status = 0;    // the launcher's
  std::string line;  // what it reported; empty when all went well
  double seconds = 0;
};

struct RanksOptions {
  double patience = 3;             // the launcher's
  double collective_seconds = 60;  // the time-out of a collective
  std::string argument;            // the body's rank_argument()
};
RanksRun run_ranks(const std::string& body, int64_t processes, const RanksOptions& options = {});
std::string rank_argument();

// In main: this process's exit status where it was started as a rank.
std::optional<int> run_as_rank();

using RankBody = void (*)(const ProcessGroup& world);
struct RegisteredBody {
  RegisteredBody(const char* name, RankBody body);
};

}  // namespace moga::test

#define MOGA_RANKS(name)                                                   \
  void ranks_##name(const moga::ProcessGroup& world);                      \
  const moga::test::RegisteredBody registered_##name(#name, ranks_##name); \
  void ranks_##name([[maybe_unused]] const moga::ProcessGroup& world)
