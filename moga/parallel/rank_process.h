// One rank as the launcher sees it: a child process and the pipe in which it says why it fails. Private to the folder.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace moga {

class RankProcess {
 public:
  struct Start {
    std::vector<std::string> command;
    std::vector<std::string> environment;  // the complete one, "NAME=value"
    int keep_open = -1;                    // a descriptor that the child inherits
  };
  explicit RankProcess(const Start& start);
  ~RankProcess();
  RankProcess(const RankProcess&) = delete;
  RankProcess& operator=(const RankProcess&) = delete;

  // Whether the process runs; looks once, without waiting.
  bool running();
  void send(int signal) const;

  // After its end.
  bool failed() const { return status_ != 0; }
  bool interrupted() const;          // ended with kInterruptedExit
  bool follows() const;              // ended with kPeerFailureExit
  bool signalled(int signal) const;  // killed by it
  std::string cause() const;         // ": its own line", " was killed by SIGKILL", " ended with exit code 3"

 private:
  void collect_report();
  pid_t pid_ = -1;
  int report_ = -1;  // read end
  bool running_ = true;
  int status_ = 0;    // waitpid's
  std::string line_;  // what the rank told
};

}  // namespace moga
