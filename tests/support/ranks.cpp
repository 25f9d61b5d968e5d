// Starts the ranks of a test through moga's own launcher, and is their main. See ranks.h.
#include "tests/support/ranks.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>

#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/parallel/connect.h"
#include "moga/parallel/launcher.h"

namespace moga::test {
namespace {

std::map<std::string, RankBody>& bodies() {
  static std::map<std::string, RankBody> registered;
  return registered;
}

void run_body(const std::string& name) {
  const auto found = bodies().find(name);
  check(found != bodies().end(), "no MOGA_RANKS(", name, ") in this test program");
  ConnectOptions options;
  options.connect_seconds = 60;
  options.collective_seconds = std::stod(std::getenv("MOGA_TEST_SECONDS"));
  const ProcessGroup world = connect(rank_environment(), options);
  found->second(world);
  leave(world);
}

// A failed rank may hold collectives that never end: it leaves without destructors.
[[noreturn]] void leave_with(int status, const std::string& line) {
  if (!tell_launcher(line)) std::cerr << line << std::endl;
  std::_Exit(status);
}

}  // namespace

RegisteredBody::RegisteredBody(const char* name, RankBody body) { bodies()[name] = body; }

std::string rank_argument() { return std::getenv("MOGA_TEST_ARGUMENT"); }

RanksRun run_ranks(const std::string& body, int64_t processes, const RanksOptions& options) {
  RanksRun run;
  LaunchOptions launch_options;
  launch_options.command = {std::filesystem::read_symlink("/proc/self/exe").string()};
  launch_options.processes = processes;
  launch_options.patience = options.patience;
  launch_options.environment = {{"MOGA_TEST_RANKS", body},
                                {"MOGA_TEST_ARGUMENT", options.argument},
                                {"MOGA_TEST_SECONDS", std::to_string(options.collective_seconds)},
                                {"OMP_NUM_THREADS", "1"}};
  launch_options.report = [&](const std::string& line) { run.line = line; };
  const auto begin = std::chrono::steady_clock::now();
  run.status = launch(launch_options);
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (run.status != 0 && run.line.empty()) run.line = "exit status " + std::to_string(run.status);
  return run;
}

std::optional<int> run_as_rank() {
  const char* body = std::getenv("MOGA_TEST_RANKS");
  if (!body) return std::nullopt;
  set_quiet(true);
  catch_interrupts();
  try {
    run_body(body);
  } catch (const Interrupted& error) {
    leave_with(kInterruptedExit, error.what());
  } catch (const PeerFailure& error) {
    leave_with(kPeerFailureExit, error.what());
  } catch (const std::exception& error) {
    leave_with(1, error.what());
  }
  return 0;
}

}  // namespace moga::test
