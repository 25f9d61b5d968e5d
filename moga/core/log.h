// Output of a running program: log lines on stderr, progress with rate and time left, and JSON lines on disk.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "moga/core/log_line.h"

namespace moga {

// Suppresses everything except errors (tests, --quiet).
void set_quiet(bool quiet);

// "denoise  12/50  1.82 step/s  0:21 left". On a terminal one line is rewritten; elsewhere a line is printed
// occasionally.
class Progress {
 public:
  Progress(std::string label, int64_t total, std::string unit, int64_t start = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // Advances by `units` and shows `note` (loss, file name, …) after the rate.
  void advance(int64_t units = 1, const std::string& note = "");

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Appends one JSON object per line and flushes it at once, so that a killed run loses nothing.
class JsonLog {
 public:
  explicit JsonLog(const std::filesystem::path& path);
  ~JsonLog();
  void write(const nlohmann::json& object);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// "1:02:03", "0:21"; "1.5 GiB".
std::string format_duration(double seconds);
std::string format_bytes(double bytes);

}  // namespace moga
