// Log lines of the library inside Python: on stderr if the environment has MOGA_LOG=1, otherwise silent. A program of
// others owns stderr; moga.default_backend tells the backend in use.
#include "moga/core/log_line.h"

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string_view>

namespace moga {

void log_line(const std::string& text) {
  const char* wanted = std::getenv("MOGA_LOG");
  if (wanted && std::string_view(wanted) == "1") std::fprintf(stderr, "moga: %s\n", text.c_str());
}

void log_once(const std::string& key, const std::string& text) {
  static std::mutex mutex;
  static std::set<std::string> seen;
  const std::lock_guard lock(mutex);
  if (seen.insert(key).second) log_line(text);
}

}  // namespace moga
