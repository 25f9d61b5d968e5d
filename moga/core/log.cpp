// Log lines and progress share stderr. On a terminal, a log line first clears the progress line, which the next advance
// redraws.
#include "moga/core/log.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/format.h"
#include "moga/core/json_text.h"
#include "moga/core/log_pause.h"
#include "moga/core/progress_watch.h"

namespace moga {
namespace {

using Clock = std::chrono::steady_clock;

std::mutex output_mutex;
bool quiet = false;
bool line_open = false;  // the terminal's last line is a progress line without its newline
constexpr const char* kClearLine = "\r\033[K";
constexpr double kTerminalPeriod = 0.1;  // seconds between progress lines
constexpr double kFilePeriod = 10.0;

thread_local const ProgressWatch* watch = nullptr;

bool on_terminal() {
  static const bool terminal = isatty(STDERR_FILENO) == 1;
  return terminal;
}

size_t terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

void log_line(const std::string& text) {
  const std::lock_guard lock(output_mutex);
  if (quiet) return;
  std::fprintf(stderr, "%s%s\n", line_open ? kClearLine : "", printable(text).c_str());
  line_open = false;
}

void log_once(const std::string& key, const std::string& text) {
  static std::mutex mutex;
  static std::set<std::string> seen;
  {
    const std::lock_guard lock(mutex);
    if (!seen.insert(key).second) return;
  }
  log_line(text);
}

void set_quiet(bool value) {
  const std::lock_guard lock(output_mutex);
  quiet = value;
}

LogPause::LogPause() {
  const std::lock_guard lock(output_mutex);
  before_ = quiet;
  quiet = true;
}

LogPause::~LogPause() { set_quiet(before_); }

ProgressWatch::ProgressWatch(std::function<void(const ProgressState&)> see)
    : see_(std::move(see)), outer_(std::exchange(watch, this)) {}

ProgressWatch::~ProgressWatch() { watch = outer_; }

struct Progress::State {
  std::string label;
  int64_t total = 0;  // 0: unknown
  std::string unit;
  int64_t start = 0;
  int64_t done = 0;
  std::string note;
  Clock::time_point began = Clock::now();
  Clock::time_point shown = Clock::now();
  bool pending = false;  // there is progress since the last line shown

  std::string rate(double seconds) const {
    const double per_second = static_cast<double>(done - start) / std::max(seconds, 1e-9);
    if (per_second >= 1.0) return formatted(per_second < 100 ? "%.2f " : "%.0f ", per_second) + unit + "/s";
    return formatted("%.2f s/", 1.0 / per_second) + unit;
  }

  std::string line() const {
    const double seconds = seconds_since(began);
    std::string text = label + "  " + std::to_string(done) + (total > 0 ? "/" + std::to_string(total) : "");
    if (done > start) text += "  " + rate(seconds);
    if (done > start && total > done)
      text += "  " + format_duration(seconds / static_cast<double>(done - start) * static_cast<double>(total - done)) +
              " left";
    if (total > 0 && done >= total) text += "  in " + format_duration(seconds);
    return note.empty() ? text : text + "  " + note;
  }

  // For the thread's watch.
  void tell() const {
    if (!watch) return;
    const int64_t taken = done - start;
    watch->see({label, unit, done, total, taken > 0 ? seconds_since(began) / static_cast<double>(taken) : 0});
  }

  void show() {
    pending = false;
    shown = Clock::now();
    if (quiet) return;
    if (on_terminal()) {
      std::fprintf(stderr, "%s%s", kClearLine, line().substr(0, terminal_width() - 1).c_str());
      line_open = true;
    } else {
      std::fprintf(stderr, "%s\n", line().c_str());
    }
  }
};

Progress::Progress(std::string label, int64_t total, std::string unit, int64_t start)
    : state_(std::make_unique<State>()) {
  state_->label = std::move(label);
  state_->total = total;
  state_->unit = std::move(unit);
  state_->start = state_->done = start;
  state_->tell();
}

Progress::~Progress() {
  const std::lock_guard lock(output_mutex);
  if (state_->pending) state_->show();
  if (line_open) std::fputc('\n', stderr);
  line_open = false;
}

void Progress::advance(int64_t units, const std::string& note) {
  std::unique_lock lock(output_mutex);
  state_->done += units;
  state_->note = note;
  state_->pending = true;
  const bool complete = state_->total > 0 && state_->done == state_->total;
  const double period = on_terminal() ? kTerminalPeriod : kFilePeriod;
  if (complete || seconds_since(state_->shown) >= period) state_->show();
  lock.unlock();
  state_->tell();
}

struct JsonLog::State {
  std::filesystem::path path;
  std::ofstream file;
  std::mutex mutex;
};

JsonLog::JsonLog(const std::filesystem::path& path) : state_(std::make_unique<State>()) {
  if (path.has_parent_path()) make_folder(path.parent_path());
  std::ifstream existing(path, std::ios::binary | std::ios::ate);
  bool torn = false;  // a run that was killed may have left half a line
  if (existing && existing.tellg() > 0) {
    existing.seekg(-1, std::ios::end);
    torn = existing.get() != '\n';
  }
  state_->path = path;
  state_->file.open(path, std::ios::binary | std::ios::app);
  check(state_->file.is_open(), path.string(), ": cannot be opened for appending");
  if (torn) state_->file << '\n';
}

JsonLog::~JsonLog() = default;

void JsonLog::write(const nlohmann::json& object) {
  const std::lock_guard lock(state_->mutex);
  state_->file << object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n' << std::flush;
  check(state_->file.good(), state_->path.string(), ": cannot be written; is the disk full?");
}

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  const int64_t whole = std::llround(std::clamp(seconds, 0.0, 1e15));
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60, rest = whole % 60;
  char text[48];
  if (hours > 0)
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", hours, minutes, rest);
  else
    std::snprintf(text, sizeof text, "%ld:%02ld", minutes, rest);
  return text;
}

std::string format_bytes(double bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (unit < 4 && std::abs(bytes) >= 1024.0) {
    bytes /= 1024.0;
    ++unit;
  }
  return formatted(unit == 0 ? "%.0f " : "%.1f ", bytes) + units[unit];
}

}  // namespace moga
