// Reading whole files and checking names before long work. Writing is in files_write.cpp.
#include "moga/core/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "moga/core/check.h"

namespace moga {
namespace {

namespace fs = std::filesystem;

class Descriptor {
 public:
  // O_NONBLOCK: opening a pipe would otherwise wait for a writer.
  explicit Descriptor(const fs::path& path) : number_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    check(number_ >= 0, path.string(), ": cannot be opened: ", std::strerror(errno));
  }
  ~Descriptor() { close(number_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

void check_regular(const struct stat& status, const fs::path& path) {
  if (!S_ISREG(status.st_mode)) fail(path.string(), ": is ", kind_of(status.st_mode), ", expected a file");
}

// The nearest folder above `path` that exists; the ones below it would be created.
fs::path nearest_folder(const fs::path& path) {
  std::error_code ignored;
  fs::path folder = fs::absolute(path).parent_path();
  while (!fs::exists(folder, ignored) && folder.has_relative_path()) folder = folder.parent_path();
  return folder;
}

void check_name(const fs::path& path, const fs::path& folder) {
  check(!path.empty() && path.has_filename(), "'", path.string(), "' is not a file name");
  const long limit = pathconf(folder.c_str(), _PC_NAME_MAX);
  const auto length = static_cast<long>(path.filename().native().size());
  check(limit < 0 || length <= limit, path.string(), ": cannot be written: the name has ", length,
        " bytes, the file system allows ", limit);
}

void check_folder_writable(const fs::path& path, const fs::path& folder) {
  std::error_code ignored;
  check(fs::is_directory(folder, ignored), path.string(), ": cannot be written: ", folder.string(), " is not a folder");
  const bool writable = access(folder.c_str(), W_OK | X_OK) == 0;
  check(writable, path.string(), ": cannot be written: ", folder.string(), ": ", std::strerror(errno));
}

}  // namespace

void check_regular_file(const fs::path& path) {
  struct stat status {};
  const bool found = stat(path.c_str(), &status) == 0;  // before the arguments of check, which read errno
  check(found, path.string(), ": cannot be opened: ", std::strerror(errno));
  check_regular(status, path);
}

std::string read_text(const fs::path& path, uint64_t most_bytes) {
  const Descriptor file(path);
  struct stat status {};
  const bool known = fstat(file.number(), &status) == 0;
  check(known, path.string(), ": cannot be read: ", std::strerror(errno));
  check_regular(status, path);
  const auto size = static_cast<uint64_t>(status.st_size);
  check(size <= most_bytes, path.string(), ": has ", size, " bytes, expected at most ", most_bytes);
  std::string text(size, '\0');
  size_t length = 0;
  while (length < text.size()) {
    const ssize_t count = ::read(file.number(), text.data() + length, text.size() - length);
    if (count < 0 && errno == EINTR) continue;
    check(count >= 0, path.string(), ": cannot be read: ", std::strerror(errno));
    if (count == 0) break;  // it was shortened meanwhile
    length += static_cast<size_t>(count);
  }
  text.resize(length);
  return text;
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, folder.string(), ": cannot create this folder: ", error.message());
}

void check_writable(const fs::path& path) {
  std::error_code ignored;
  const fs::path folder = nearest_folder(path);
  check_name(path, folder);
  check(!fs::is_directory(path, ignored), path.string(), ": is a folder, expected a file name");
  const fs::file_status status = fs::status(path, ignored);
  if (fs::exists(status) && !fs::is_regular_file(status)) return;  // a pipe or device, which is opened, not replaced
  if (!fs::is_symlink(fs::symlink_status(path, ignored))) return check_folder_writable(path, folder);
  check_folder_writable(path, nearest_folder(fs::weakly_canonical(path, ignored)));
}

void check_new_folder(const fs::path& path) {
  if (!path.has_filename() && path.has_relative_path()) return check_new_folder(path.parent_path());  // "models/mine/"
  std::error_code ignored;
  const fs::path folder = nearest_folder(path);
  check_name(path, folder);
  check(!fs::exists(fs::symlink_status(path, ignored)), path.string(), ": exists already, expected a new folder");
  check_folder_writable(path, folder);
}

}  // namespace moga
