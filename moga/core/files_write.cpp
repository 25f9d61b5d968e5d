// Writes files and folders completely or not at all: temporary → fsync → rename → fsync of the folder. These steps are
// POSIX. Folders are replaced in one step by Linux's renameat2 with RENAME_EXCHANGE, or by two renames where it is
// missing.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <utility>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/temporary_name.h"

namespace moga {
namespace {

namespace fs = std::filesystem;

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

// Where a chain of links ends, whether or not something is there.
fs::path link_target(fs::path path) {
  std::error_code ignored;
  for (int links = 0; fs::is_symlink(fs::symlink_status(path, ignored)); ++links) {
    check(links < 40, path.string(), ": too many links");
    const fs::path next = fs::read_symlink(path);
    path = next.is_absolute() ? next : folder_of(path) / next;
  }
  return path;
}

// Calls create(temporary) until it makes something that was not there.
template <class Create>
fs::path create_exclusively(const fs::path& path, const fs::path& target, const Create& create) {
  make_folder(folder_of(target));
  while (true) {
    fs::path temporary = temporary_of(target);
    if (create(temporary)) return temporary;
    check(errno == EEXIST, path.string(), ": cannot be written: ", folder_of(target).string(), ": ",
          std::strerror(errno));
  }
}

void sync(const fs::path& path, int flags) {
  const int descriptor = open(path.c_str(), flags | O_CLOEXEC);
  check(descriptor >= 0, path.string(), ": cannot be opened to sync it: ", std::strerror(errno));
  const int result = fsync(descriptor);
  const int error = errno;
  close(descriptor);
  check(result == 0 || error == EINVAL, path.string(), ": cannot be written to disk: ", std::strerror(error));
}

void sync_folder(const fs::path& folder) { sync(folder, O_RDONLY | O_DIRECTORY); }

void sync_tree(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_symlink()) continue;
    if (entry.is_directory()) sync_folder(entry.path());
    if (entry.is_regular_file()) sync(entry.path(), O_RDONLY);
  }
  sync_folder(folder);
}

bool rename_as(const fs::path& from, const fs::path& to, unsigned flags) {
  return renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) == 0;
}

[[noreturn]] void cannot_rename(const fs::path& from, const fs::path& to) {
  fail(to.string(), ": cannot rename ", from.string(), ": ", std::strerror(errno));
}

void rename_new(const fs::path& from, const fs::path& to) {
  if (rename_as(from, to, RENAME_NOREPLACE)) return;
  check(errno != EEXIST, to.string(), ": exists already, expected a new folder");
  const bool unknown = errno == EINVAL || errno == ENOSYS;  // the file system has no such rename
  if (!unknown || std::rename(from.c_str(), to.c_str()) != 0) cannot_rename(from, to);
}

// The new folder gets the name; returns where the old one is now, if there was one.
std::optional<fs::path> exchange(const fs::path& from, const fs::path& to) {
  std::error_code ignored;
  if (!fs::exists(to, ignored)) {
    if (std::rename(from.c_str(), to.c_str()) != 0) cannot_rename(from, to);
    return std::nullopt;
  }
  check(fs::is_directory(to, ignored), to.string(), ": is a file, expected a folder");
  if (rename_as(from, to, RENAME_EXCHANGE)) return from;
  if (errno != EINVAL && errno != ENOSYS) cannot_rename(from, to);
  fs::path aside = temporary_of(to);
  if (std::rename(to.c_str(), aside.c_str()) != 0 || std::rename(from.c_str(), to.c_str()) != 0)
    cannot_rename(from, to);
  return aside;
}

// Locks a folder against remove_abandoned of other processes; -1 when it is held or cannot be locked.
int lock_folder(const fs::path& folder) {
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor >= 0 && flock(descriptor, LOCK_EX | LOCK_NB) == 0) return descriptor;
  if (descriptor >= 0) close(descriptor);
  return -1;
}

void unlock(int& lock) {
  if (lock >= 0) close(lock);
  lock = -1;
}

}  // namespace

PendingFile::PendingFile(const fs::path& path) : path_(path), target_(link_target(path)) {
  std::error_code ignored;
  const fs::file_status status = fs::status(target_, ignored);
  check(!fs::is_directory(status), path.string(), ": is a folder, expected a file name");
  check(target_.has_filename(), "'", path.string(), "' is not a file name");
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    temporary_ = target_;
    return;
  }
  temporary_ = create_exclusively(path, target_, [](const fs::path& temporary) {
    const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (file >= 0) close(file);
    return file >= 0;
  });
}

PendingFile::~PendingFile() {
  std::error_code ignored;
  if (!temporary_.empty() && temporary_ != target_) fs::remove(temporary_, ignored);
}

void PendingFile::commit() {
  if (temporary_ == target_) return;  // a pipe or device
  sync(temporary_, O_RDWR);
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0) cannot_rename(temporary_, target_);
  temporary_.clear();
  sync_folder(folder_of(target_));
}

PendingFolder::PendingFolder(const fs::path& path, Existing existing)
    : path_(path), target_(link_target(path)), existing_(existing) {
  if (!target_.has_filename()) target_ = target_.parent_path();  // "models/mine/"
  check(target_.has_filename(), "'", path.string(), "' is not a folder name");
  if (existing == Existing::kRefuse) check_new_folder(target_);
  temporary_ =
      create_exclusively(path, target_, [](const fs::path& temporary) { return mkdir(temporary.c_str(), 0777) == 0; });
  lock_ = lock_folder(temporary_);
}

PendingFolder::~PendingFolder() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
  unlock(lock_);
}

void PendingFolder::commit() {
  sync_tree(temporary_);
  std::optional<fs::path> old;
  if (existing_ == Existing::kRefuse)
    rename_new(temporary_, target_);
  else
    old = exchange(temporary_, target_);
  temporary_.clear();
  unlock(lock_);
  sync_folder(folder_of(target_));
  std::error_code ignored;
  if (old) fs::remove_all(*old, ignored);
}

fs::path PendingFolder::keep() {
  unlock(lock_);
  return std::exchange(temporary_, fs::path());
}

FolderLock::FolderLock(const fs::path& folder)
    : descriptor_(open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  while (descriptor_ >= 0 && flock(descriptor_, LOCK_EX) != 0 && errno == EINTR) continue;
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

void write_atomically(const fs::path& path, const std::function<void(const fs::path& temporary)>& write) {
  PendingFile file(path);
  write(file.temporary());
  file.commit();
}

void write_folder_atomically(const fs::path& path, Existing existing,
                             const std::function<void(const fs::path& temporary)>& write) {
  PendingFolder folder(path, existing);
  write(folder.temporary());
  folder.commit();
}

void write_text(const fs::path& path, std::string_view text) {
  write_atomically(path, [&](const fs::path& temporary) {
    std::ofstream file(temporary, std::ios::binary);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    file.close();
    check(file.good(), path.string(), ": cannot be written: ", std::strerror(errno));
  });
}

void remove_abandoned(const fs::path& path) {
  const fs::path target = link_target(path);
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_of(target), ignored)) {
    if (!is_temporary_of(entry.path().filename().string(), target) || entry.is_symlink(ignored)) continue;
    int lock = lock_folder(entry.path());
    if (lock < 0) continue;
    fs::remove_all(entry.path(), ignored);
    unlock(lock);
  }
}

}  // namespace moga
