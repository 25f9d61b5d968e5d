// Log lines, such as the one that names the attention backend in use. A program prints them on stderr (log.cpp);
// the Python package has its own (python/src/log_line.cpp). Progress and JSON logs are log.h.
#pragma once

#include <sstream>
#include <string>

namespace moga {

void log_line(const std::string& text);

template <class... Parts>
void log_info(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  log_line(text.str());
}

// Logs `text` the first time this `key` is seen; used to name the backend that serves a request.
void log_once(const std::string& key, const std::string& text);

}  // namespace moga
