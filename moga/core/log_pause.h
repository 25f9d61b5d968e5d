// LogPause: nothing is logged during its lifetime. For a step within a command whose messages would describe a state
// that the command is about to change.
#pragma once

namespace moga {

class LogPause {
 public:
  LogPause();
  ~LogPause();
  LogPause(const LogPause&) = delete;
  LogPause& operator=(const LogPause&) = delete;

 private:
  bool before_;  // whether logging was off already
};

}  // namespace moga
