// Whole-or-absent files on POSIX: the data is synced before the rename and the folder after it, so that after a power
// cut the name holds either the old content or the new.
#include "moga/core/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "moga/core/check.h"

namespace moga {
namespace {

namespace fs = std::filesystem;

// The extension stays last, because writers of video and images choose their format by it.
fs::path temporary_beside(const fs::path& path) {
  static std::atomic<int> number{0};
  const std::string mark = ".partial-" + std::to_string(getpid()) + "-" + std::to_string(number++);
  return path.parent_path() / ("." + path.stem().string() + mark + path.extension().string());
}

void sync(const fs::path& path, int flags) {
  const int descriptor = open(path.c_str(), flags | O_CLOEXEC);
  check(descriptor >= 0, path.string(), ": cannot be opened to sync it: ", std::strerror(errno));
  const int result = fsync(descriptor);
  const int error = errno;
  close(descriptor);
  check(result == 0 || error == EINVAL, path.string(), ": cannot be written to disk: ", std::strerror(error));
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

}  // namespace

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, folder.string(), ": cannot create this folder: ", error.message());
}

void check_writable(const fs::path& path) {
  std::error_code ignored;
  check(!path.empty() && path.has_filename(), "'", path.string(), "' is not a file name");
  check(!fs::is_directory(path, ignored), path.string(), ": is a folder, expected a file name");
  fs::path folder = fs::absolute(folder_of(path));
  while (!fs::exists(folder, ignored) && folder.has_relative_path()) folder = folder.parent_path();  // the rest is made
  check(fs::is_directory(folder, ignored), path.string(), ": cannot be written: ", folder.string(), " is not a folder");
  check(access(folder.c_str(), W_OK | X_OK) == 0, path.string(), ": cannot be written: ", folder.string(), ": ",
        std::strerror(errno));
}

std::string read_text(const fs::path& path) {
  std::error_code ignored;
  check(!fs::is_directory(path, ignored), path.string(), ": is a folder, expected a file");
  std::ifstream file(path, std::ios::binary);
  check(file.is_open(), path.string(), ": cannot be opened: ", std::strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();
  check(!file.bad(), path.string(), ": cannot be read");
  return std::move(text).str();
}

void write_atomically(const fs::path& path, const std::function<void(const fs::path& temporary)>& write) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  check(!fs::is_directory(status), path.string(), ": is a folder, expected a file name");
  if (fs::exists(status) && !fs::is_regular_file(status)) return write(path);  // /dev/stdout, a pipe

  const fs::path target = fs::is_symlink(fs::symlink_status(path, ignored)) ? fs::weakly_canonical(path) : path;
  make_folder(folder_of(target));
  const fs::path temporary = temporary_beside(target);
  try {
    write(temporary);
    sync(temporary, O_RDWR);
    fs::rename(temporary, target);
  } catch (...) {
    fs::remove(temporary, ignored);
    throw;
  }
  sync(folder_of(target), O_RDONLY | O_DIRECTORY);
}

void write_text(const fs::path& path, std::string_view text) {
  write_atomically(path, [&](const fs::path& temporary) {
    std::ofstream file(temporary, std::ios::binary);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    file.close();
    check(file.good(), path.string(), ": cannot be written: ", std::strerror(errno));
  });
}

}  // namespace moga
