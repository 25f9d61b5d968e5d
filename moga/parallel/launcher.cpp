// Starts the ranks, forwards signals, and finds the rank that failed first among those that fail in its wake.
#include "moga/parallel/launcher.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "moga/core/check.h"
#include "moga/core/interrupt.h"
#include "moga/parallel/rank_environment.h"
#include "moga/parallel/rank_process.h"

extern char** environ;

namespace moga {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr auto kPoll = std::chrono::milliseconds(50);
// From the first failure seen to the verdict: ranks that fail in its wake may be seen before the one that died.
constexpr double kSettleSeconds = 0.3;

// A socket that listens on a free port of this machine: rank 0 inherits it and serves the store there.
struct Listener {
  Listener() {
    descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    const bool listens = descriptor >= 0 && bind(descriptor, generic, length) == 0 && ::listen(descriptor, 1024) == 0 &&
                         getsockname(descriptor, generic, &length) == 0;
    check(listens, "no free port for the ranks of this run: ", std::strerror(errno));
    port = ntohs(address.sin_port);
  }
  ~Listener() { close(descriptor); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  int descriptor = -1;
  int port = 0;
};

// Blocks the signals that sigtimedwait takes.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigemptyset(&signals_);
    for (const int signal : {SIGCHLD, SIGTERM, SIGINT}) sigaddset(&signals_, signal);
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

  // SIGTERM or SIGINT when one arrived, 0 after the poll's time or when a child ended.
  int wait() {
    const timespec time{0, std::chrono::nanoseconds(kPoll).count()};
    const int signal = sigtimedwait(&signals_, nullptr, &time);
    if (signal == SIGTERM || signal == SIGINT) return signal;
    // Another thread may have taken it.
    return interrupted() && !std::exchange(seen_, true) ? SIGTERM : 0;
  }

 private:
  sigset_t signals_{}, before_{};
  bool seen_ = interrupted();
};

// Sets NAME=value in a list of variables, in place of what it had.
void set_variable(std::vector<std::string>& variables, const std::string& name, const std::string& value) {
  std::erase_if(variables, [&](const std::string& variable) { return variable.starts_with(name + "="); });
  variables.push_back(name + "=" + value);
}

std::vector<std::string> rank_variables(const LaunchOptions& options, int64_t rank, const Listener& listener) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable; ++variable) variables.emplace_back(*variable);
  if (!std::getenv("OMP_NUM_THREADS")) variables.emplace_back("OMP_NUM_THREADS=1");  // ranks compete for the cores
  for (const auto& [name, value] : options.environment) set_variable(variables, name, value);
  set_variable(variables, "RANK", std::to_string(rank));
  set_variable(variables, "LOCAL_RANK", std::to_string(rank));
  set_variable(variables, "WORLD_SIZE", std::to_string(options.processes));
  set_variable(variables, "LOCAL_WORLD_SIZE", std::to_string(options.processes));
  set_variable(variables, "MASTER_ADDR", "127.0.0.1");
  set_variable(variables, "MASTER_PORT", std::to_string(listener.port));
  if (rank == 0) set_variable(variables, "MOGA_STORE_FD", std::to_string(listener.descriptor));
  return variables;
}

class Run {
 public:
  explicit Run(const LaunchOptions& options) : options_(options) {
    const Listener listener;
    for (int64_t rank = 0; rank < options.processes; ++rank)
      ranks_.push_back(std::make_unique<RankProcess>(RankProcess::Start{
          options.command, rank_variables(options, rank, listener), rank == 0 ? listener.descriptor : -1}));
  }

  int finish(BlockedSignals& signals) {
    while (look()) {
      if (const int signal = signals.wait()) send(stop_signal_ = signal);
      if (first_failure_) end_the_others();
    }
    const bool interrupted = std::ranges::any_of(ranks_, [](const auto& rank) { return rank->interrupted(); });
    if (!first_failure_) return interrupted ? kInterruptedExit : 0;
    const size_t cause = cause_ ? *cause_ : find_cause();
    // A rank that the forwarded signal ended, or that left by itself when it was told to, has not failed.
    if (stop_signal_ != 0 && ranks_[cause]->signalled(stop_signal_)) return kInterruptedExit;
    if (interrupted && ranks_[cause]->follows()) return kInterruptedExit;
    report(verdict(cause));
    return 1;
  }

 private:
  // Whether a rank still runs; notes the first failure.
  bool look() {
    bool any = false;
    for (const auto& rank : ranks_) {
      const bool runs = rank->running();
      any = any || runs;
      if (!runs && rank->failed() && !rank->interrupted() && !first_failure_) first_failure_ = Clock::now();
    }
    return any;
  }

  void send(int signal) {
    for (const auto& rank : ranks_)
      if (rank->running()) rank->send(signal);
  }

  void end_the_others() {
    const double passed = Seconds(Clock::now() - *first_failure_).count();
    if (!cause_ && passed >= kSettleSeconds) {
      cause_ = find_cause();
      send(SIGTERM);
    }
    if (cause_ && passed >= options_.patience && !killed_) {
      killed_ = true;
      for (size_t rank = 0; rank < ranks_.size(); ++rank)
        if (ranks_[rank]->running()) hung_.push_back(rank);
      send(SIGKILL);
    }
  }

  // The rank that failed by itself; otherwise the first that lost another one.
  size_t find_cause() const {
    std::optional<size_t> follower;
    for (size_t rank = 0; rank < ranks_.size(); ++rank) {
      if (ranks_[rank]->running() || !ranks_[rank]->failed() || ranks_[rank]->interrupted()) continue;
      if (!ranks_[rank]->follows()) return rank;
      if (!follower) follower = rank;
    }
    return follower.value_or(0);
  }

  std::string verdict(size_t cause) const {
    const std::string ended = "; all " + std::to_string(ranks_.size()) + " ranks were ended";
    if (ranks_[cause]->follows() && !hung_.empty())
      return name(hung_[0]) + " did not answer and was killed (" + name(cause) + ranks_[cause]->cause() + ")" + ended;
    return name(cause) + ranks_[cause]->cause() + ended;
  }

  static std::string name(size_t rank) { return "rank " + std::to_string(rank) + " on " + host_name(); }

  void report(const std::string& line) const {
    if (options_.report)
      options_.report(line);
    else
      std::cerr << "moga: " << line << std::endl;
  }

  const LaunchOptions& options_;
  std::vector<std::unique_ptr<RankProcess>> ranks_;
  std::optional<Clock::time_point> first_failure_;
  std::optional<size_t> cause_;
  int stop_signal_ = 0;  // the last that was forwarded
  bool killed_ = false;
  std::vector<size_t> hung_;
};

}  // namespace

int launch(const LaunchOptions& options) {
  constexpr int64_t kMostProcesses = 1024;
  check(!std::getenv("RANK") && !std::getenv("WORLD_SIZE"),
        "RANK or WORLD_SIZE is set: this process is a rank already and starts no others");
  check(options.processes > 0 && options.processes <= kMostProcesses, "processes = ", options.processes,
        ", expected 1 to ", kMostProcesses);
  check(!options.command.empty() && std::filesystem::exists(options.command[0]), "the program of the ranks, '",
        options.command.empty() ? "" : options.command[0], "', does not exist");
  BlockedSignals signals;
  return Run(options).finish(signals);
}

std::vector<std::string> own_command() {
  std::vector<std::string> command;
  std::ifstream file("/proc/self/cmdline");
  for (std::string argument; std::getline(file, argument, '\0');) command.push_back(argument);
  check(!command.empty(), "/proc/self/cmdline cannot be read");
  command[0] = std::filesystem::read_symlink("/proc/self/exe").string();
  return command;
}

std::vector<std::string> without_options(const std::vector<std::string>& command,
                                         const std::vector<std::string>& options) {
  std::vector<std::string> rest;
  for (size_t i = 0; i < command.size(); ++i) {
    const auto is = [&](const std::string& option) { return command[i] == option; };
    const auto has_value = [&](const std::string& option) { return command[i].starts_with(option + "="); };
    if (std::ranges::any_of(options, is))
      ++i;  // its value too
    else if (std::ranges::none_of(options, has_value))
      rest.push_back(command[i]);
  }
  return rest;
}

bool tell_launcher(const std::string& line) {
  const char* descriptor = std::getenv("MOGA_REPORT_FD");
  if (!descriptor) return false;
  const std::string text = line.substr(0, line.find('\n')) + "\n";
  return write(std::atoi(descriptor), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

}  // namespace moga
