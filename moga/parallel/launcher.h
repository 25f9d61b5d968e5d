// Runs a command as N ranks of one machine, in torchrun's environment (rank_environment.h), and ends them together:
//
//   SIGTERM or SIGINT          is forwarded to every rank: they save and end
//   a rank dies or fails       the others get SIGTERM at once, SIGKILL after `patience` seconds, and one line names the
//                              rank, the host and the cause: its error, exit code or signal
//   this process dies          the kernel sends the ranks SIGTERM
//
// Each rank is a process group of its own, so that Ctrl-C on a terminal reaches it once, through the launcher. For
// several machines use torchrun or srun.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace moga {

// Exit status of a rank that ends with PeerFailure: the launcher looks for the cause elsewhere.
inline constexpr int kPeerFailureExit = 76;
// Exit status of a rank that ends because it was interrupted.
inline constexpr int kInterruptedExit = 130;

struct LaunchOptions {
  std::vector<std::string> command;  // a path and its arguments
  int64_t processes = 1;
  double patience = 10;                                 // seconds from the first failure to SIGKILL
  std::map<std::string, std::string> environment;       // added to this process's
  std::function<void(const std::string& line)> report;  // empty: a line on stderr
};

// Returns when all ranks have ended: 0, kInterruptedExit, or 1 after a failure. Throws when this process is a rank
// itself or the command cannot be started.
int launch(const LaunchOptions& options);

// This process's program and arguments; without some options, "--gpus 2" or "--gpus=2", it is what its ranks run.
std::vector<std::string> own_command();
std::vector<std::string> without_options(const std::vector<std::string>& command,
                                         const std::vector<std::string>& options);

// For the main of a rank: hands the line that says why it fails to the launcher, which prints it with rank and host.
// False where no launcher listens and the program has to print it.
bool tell_launcher(const std::string& line);

}  // namespace moga
