// Ranks that die, fail, hang or are told to end: all of them end within the stated time, with one line.
#include "moga/parallel/launcher.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "moga/core/interrupt.h"
#include "moga/parallel/rank_environment.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"
#include "tests/support/ranks.h"

namespace moga::test {
namespace {

std::string on_rank(int rank) { return "rank " + std::to_string(rank) + " on " + host_name(); }

// Steps until any rank is told to end, as a training loop does.
void steps_until_interrupted(const ProcessGroup& world) {
  for (int64_t step = 0; step < 100'000; ++step) {
    at::Tensor x = at::ones({100});
    world.all_reduce(x);
    if (world.any(interrupted())) throw Interrupted();
  }
  fail("nobody told the ranks to end");
}

MOGA_RANKS(killed) {
  if (world.rank() == 1) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    raise(SIGKILL);
  }
  steps_until_interrupted(world);
}

MOGA_RANKS(failed) {
  if (world.rank() == 2) fail("out of memory");
  steps_until_interrupted(world);
}

MOGA_RANKS(exits) {
  if (world.rank() == 0) std::_Exit(3);
  steps_until_interrupted(world);
}

MOGA_RANKS(hangs) {
  if (world.rank() == 1) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    std::this_thread::sleep_for(std::chrono::seconds(60));
  }
  steps_until_interrupted(world);
}

MOGA_RANKS(rank_told) {
  if (world.rank() == 1) raise(SIGTERM);
  steps_until_interrupted(world);
}

// Rank 0 tells the launcher, its parent, to end.
MOGA_RANKS(launcher_told) {
  if (world.rank() == 0) kill(getppid(), SIGTERM);
  steps_until_interrupted(world);
}

// The launcher is told to end while a rank does not handle signals yet and another waits for it.
MOGA_RANKS(told_early) {
  if (world.rank() == 1) {
    signal(SIGTERM, SIG_DFL);
    kill(getppid(), SIGTERM);
    std::this_thread::sleep_for(std::chrono::seconds(60));
  }
  steps_until_interrupted(world);
}

// The rank that serves the store leaves after the others, which still use it: their files are there by then.
MOGA_RANKS(leaves) {
  if (world.rank() != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    world.subgroup("late", {1, 2}).barrier();
  }
}

TEST(Launcher, AKilledRankEndsTheRunWithOneLine) {
  const RanksRun run = run_ranks("killed", 4);
  EXPECT_EQ(run.status, 1);
  EXPECT_EQ(run.line, on_rank(1) + " was killed by SIGKILL; all 4 ranks were ended");
  EXPECT_LT(run.seconds, 15);
}

TEST(Launcher, AFailedRankSaysWhy) {
  EXPECT_EQ(run_ranks("failed", 3).line, on_rank(2) + ": out of memory; all 3 ranks were ended");
}

TEST(Launcher, AnExitCodeIsNamed) {
  EXPECT_EQ(run_ranks("exits", 2).line, on_rank(0) + " ended with exit code 3; all 2 ranks were ended");
}

TEST(Launcher, AHungRankIsFoundByTheTimeOutAndKilled) {
  RanksOptions options;
  options.collective_seconds = 2;
  options.patience = 1;
  const RanksRun run = run_ranks("hangs", 2, options);
  EXPECT_TRUE(run.line.starts_with(on_rank(1) + " did not answer and was killed (" + on_rank(0))) << run.line;
  EXPECT_LT(run.seconds, 15);
}

TEST(Launcher, SigtermToARankEndsAllOfThemCleanly) {
  const RanksRun run = run_ranks("rank_told", 3);
  EXPECT_EQ(run.status, kInterruptedExit) << run.line;
}

TEST(Launcher, SigtermToTheLauncherIsForwarded) {
  const RanksRun run = run_ranks("launcher_told", 3);
  EXPECT_EQ(run.status, kInterruptedExit) << run.line;
}

TEST(Launcher, SigtermBeforeARankHandlesItIsNoFailure) {
  const RanksRun run = run_ranks("told_early", 2);
  EXPECT_EQ(run.status, kInterruptedExit) << run.line;
  EXPECT_LT(run.seconds, 20);
}

TEST(Launcher, TheStoreOutlivesTheOtherRanks) { EXPECT_EQ(run_ranks("leaves", 3).line, ""); }

TEST(Launcher, AProgramThatDoesNotExistIsOneLine) {
  LaunchOptions options;
  options.command = {"/no/such/program"};
  EXPECT_EQ(error_of([&] { launch(options); }), "the program of the ranks, '/no/such/program', does not exist");
  options.command = {"/bin/true"};
  options.processes = 0;
  EXPECT_EQ(error_of([&] { launch(options); }), "processes = 0, expected 1 to 1024");
}

TEST(Launcher, ACommandThatCannotRunIsNamed) {
  const Folder folder;
  std::ofstream(folder / "text") << "no program";
  std::string line;
  LaunchOptions options;
  options.command = {(folder / "text").string()};
  options.report = [&](const std::string& text) { line = text; };
  EXPECT_EQ(launch(options), 1);
  EXPECT_EQ(line, on_rank(0) + ": Permission denied; all 1 ranks were ended");
}

TEST(Launcher, RanksRunTheCommandWithoutTheOptionsThatStartThem) {
  const std::vector<std::string> command{"moga", "train", "a.toml", "--gpus", "2", "--quiet", "--processes=3"};
  EXPECT_EQ(without_options(command, {"--gpus", "--processes"}),
            (std::vector<std::string>{"moga", "train", "a.toml", "--quiet"}));
  EXPECT_TRUE(std::filesystem::exists(own_command()[0]));
}

}  // namespace
}  // namespace moga::test
