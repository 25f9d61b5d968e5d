// Private to moga/data/films: a text that changes when a file does.
#pragma once

#include <filesystem>
#include <string>

namespace moga {

inline std::string file_stamp(const std::filesystem::path& path) {
  std::error_code ignored;
  const auto bytes = std::filesystem::file_size(path, ignored);
  const auto time = std::filesystem::last_write_time(path, ignored).time_since_epoch().count();
  return std::to_string(bytes) + " " + std::to_string(time);
}

}  // namespace moga
