// Training on several ranks, killed at random moments: a rank or the launcher dies of SIGKILL, `--resume auto`
// continues, and the final checkpoint has the bytes of a run that nothing disturbed.
//
// Five kills by default; MOGA_KILLS=50 for more, MOGA_KILL_SEED for other moments.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>
#include <thread>

#include "moga/core/files.h"
#include "moga/parallel/rank_environment.h"
#include "moga/train/loop/checkpoint.h"
#include "tests/apps/program.h"

namespace moga {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int64_t kRanks = 3, kSteps = 60;

void pause(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

// Whether a process exists and has not ended; one that nobody has waited for yet has ended.
bool runs(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const size_t end = text.rfind(')');
  return end != std::string::npos && end + 2 < text.size() && text[end + 2] != 'Z' && text[end + 2] != 'X';
}

// `moga train … --gpus N` in the background, its output in a file.
class Training {
 public:
  Training(const std::string& config, const fs::path& run, const std::string& log) : log_(log) {
    const std::string ranks = std::to_string(kRanks), out = "out=" + run.string();
    process_ = fork();
    if (process_ != 0) return;
    const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    execl(MOGA_PROGRAM, MOGA_PROGRAM, "train", config.c_str(), "--gpus", ranks.c_str(), "--resume", "auto", "--set",
          out.c_str(), nullptr);
    std::_Exit(127);
  }

  pid_t launcher() const { return process_; }
  std::vector<pid_t> ranks() const {
    const std::string process = std::to_string(process_);
    std::ifstream file("/proc/" + process + "/task/" + process + "/children");
    std::vector<pid_t> children;
    for (pid_t child = 0; file >> child;) children.push_back(child);
    return children;
  }
  // Until the launcher and these ranks have ended; waitpid's status of the launcher.
  int wait(const std::vector<pid_t>& ranks) {
    int status = 0;
    waitpid(process_, &status, 0);
    const auto begin = Clock::now();
    for (const pid_t rank : ranks)
      while (runs(rank) && Clock::now() - begin < std::chrono::seconds(60)) pause(0.02);
    for (const pid_t rank : ranks) EXPECT_FALSE(runs(rank)) << "rank " << rank << " outlives its launcher";
    return status;
  }
  std::string text() const { return read_text(log_); }

 private:
  pid_t process_ = -1;
  std::string log_;
};

nlohmann::json files_of_finished(const fs::path& run) {
  const auto checkpoint = resume_checkpoint(run, "auto");
  EXPECT_TRUE(checkpoint && checkpoint->step == kSteps) << run;
  EXPECT_TRUE(fs::exists(run / "model")) << run;
  nlohmann::json files;
  for (const char* part : {"model.safetensors", "optimizer.safetensors", "ema.safetensors"})
    files[part] = checkpoint->files.at(part);
  return files;
}

int64_t number_of(const char* variable, int64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::stoll(text) : otherwise;
}

class Kills : public test::Program {
 protected:
  static std::string config() {
    static const std::string path = [] {
      write_text(at("kills.toml"), "checkpoint_every = 5\n" +
                                       test::tiny_training(at("model/tokenizer"), at("kills_shards")) +
                                       "steps = " + std::to_string(kSteps) + "\n");
      return at("kills.toml");
    }();
    return path;
  }
};

// What one kill did: the victim, 0 to kRanks − 1 for a rank, kRanks for the launcher, and whether the run had ended.
struct Kill {
  int64_t victim = 0;
  bool too_late = false;
};

// Kills one process of the run after `seconds` and waits for all of them.
Kill kill_one(Training& training, double seconds, std::mt19937_64& random) {
  const auto begin = Clock::now();
  std::vector<pid_t> ranks;
  while (runs(training.launcher()) &&
         (ranks.size() < kRanks || Clock::now() - begin < std::chrono::duration<double>(seconds))) {
    pause(0.005);
    if (const std::vector<pid_t> now = training.ranks(); now.size() >= ranks.size()) ranks = now;
  }
  Kill kill{static_cast<int64_t>(random() % (kRanks + 1))};
  ::kill(kill.victim < static_cast<int64_t>(ranks.size()) ? ranks[kill.victim] : training.launcher(), SIGKILL);
  const int status = training.wait(ranks);
  kill.too_late = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (kill.too_late || kill.victim == kRanks) return kill;
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status;
  const std::string line =
      "moga: rank " + std::to_string(kill.victim) + " on " + host_name() + " was killed by SIGKILL";
  EXPECT_NE(training.text().find(line), std::string::npos) << training.text();
  return kill;
}

// Kills and continues one run until it ends by itself, or undisturbed once `most` kills were made.
struct Killed {
  int64_t kills = 0, of_launcher = 0;
};
Killed kill_until_the_end(const std::string& config, const fs::path& run, double longest, int64_t most,
                          std::mt19937_64& random) {
  Killed killed;
  while (true) {
    Training training(config, run, run.string() + ".log");
    if (killed.kills == most) {
      EXPECT_EQ(training.wait({}), 0) << training.text();
      return killed;
    }
    const Kill kill = kill_one(training, std::uniform_real_distribution(0.0, longest)(random), random);
    if (kill.too_late) return killed;
    ++killed.kills;
    killed.of_launcher += kill.victim == kRanks;
  }
}

TEST_F(Kills, AnyMomentIsResumedToTheSameBytes) {
  std::mt19937_64 random(number_of("MOGA_KILL_SEED", 1));
  const auto begin = Clock::now();
  Training undisturbed(config(), at("undisturbed"), at("undisturbed.log"));
  ASSERT_EQ(undisturbed.wait({}), 0) << undisturbed.text();
  const double longest = std::chrono::duration<double>(Clock::now() - begin).count();
  const nlohmann::json expected = files_of_finished(at("undisturbed"));
  int64_t left = number_of("MOGA_KILLS", 5), of_launcher = 0, runs_ended = 0;
  while (left > 0 && !HasFailure()) {
    const std::string run = at("killed-" + std::to_string(runs_ended++));
    const Killed killed = kill_until_the_end(config(), run, longest, left, random);
    EXPECT_EQ(files_of_finished(run), expected) << run << " after " << killed.kills << " kills";
    left -= killed.kills;
    of_launcher += killed.of_launcher;
  }
  std::cout << runs_ended << " runs ended with the bytes of an undisturbed one; " << of_launcher
            << " kills were of the launcher\n";
}

}  // namespace
}  // namespace moga
