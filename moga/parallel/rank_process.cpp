// fork, exec and waitpid. See rank_process.h.
#include "moga/parallel/rank_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "moga/core/check.h"
#include "moga/parallel/launcher.h"

namespace moga {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (const std::string& text : texts) list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

// The child between fork and exec: only what is safe there.
[[noreturn]] void become(char* const* command, char* const* environment, pid_t parent, int report, int keep_open) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(kPeerFailureExit);  // it died before the line above
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int input = open("/dev/null", O_RDONLY);
  if (input >= 0) dup2(input, STDIN_FILENO);
  for (const int descriptor : {report, keep_open})
    if (descriptor >= 0) fcntl(descriptor, F_SETFD, 0);
  execve(command[0], command, environment);
  const char* reason = std::strerror(errno);
  [[maybe_unused]] const ssize_t written = write(report, reason, std::strlen(reason));
  _exit(127);
}

}  // namespace

RankProcess::RankProcess(const Start& start) {
  std::array<int, 2> ends{};
  const bool piped = pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0;
  check(piped, "a rank cannot be started: ", std::strerror(errno));
  std::vector<std::string> texts = start.environment;
  texts.push_back("MOGA_REPORT_FD=" + std::to_string(ends[1]));
  const std::vector<char*> command = pointers(start.command), environment = pointers(texts);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) become(command.data(), environment.data(), parent, ends[1], start.keep_open);
  const int error = errno;
  close(ends[1]);
  report_ = ends[0];
  if (pid_ > 0) return;
  close(report_);
  fail("a rank cannot be started: ", std::strerror(error));
}

RankProcess::~RankProcess() {
  if (running_) {
    send(SIGKILL);
    waitpid(pid_, &status_, 0);
  }
  close(report_);
}

bool RankProcess::running() {
  if (!running_) return false;
  if (waitpid(pid_, &status_, WNOHANG) != pid_) return true;
  running_ = false;
  collect_report();
  return false;
}

void RankProcess::send(int signal) const { kill(pid_, signal); }

bool RankProcess::interrupted() const { return WIFEXITED(status_) && WEXITSTATUS(status_) == kInterruptedExit; }
bool RankProcess::follows() const { return WIFEXITED(status_) && WEXITSTATUS(status_) == kPeerFailureExit; }
bool RankProcess::signalled(int signal) const { return WIFSIGNALED(status_) && WTERMSIG(status_) == signal; }

std::string RankProcess::cause() const {
  if (WIFSIGNALED(status_)) return std::string(" was killed by SIG") + sigabbrev_np(WTERMSIG(status_));
  if (!line_.empty()) return ": " + line_;
  return " ended with exit code " + std::to_string(WEXITSTATUS(status_));
}

void RankProcess::collect_report() {
  std::array<char, 1024> text{};
  for (ssize_t count; (count = read(report_, text.data(), text.size())) > 0;) line_.append(text.data(), count);
  line_ = line_.substr(0, line_.find('\n'));
}

}  // namespace moga
