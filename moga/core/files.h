// Files and folders that are whole or absent. Each is written under a temporary name next to its final one, synced to
// the disk and renamed, so that after a crash or a power cut the final name holds the old content or the new one.
//
//   write_text(path, text)                          a small file
//   write_atomically(path, write)                   a file that `write` writes
//   write_folder_atomically(path, existing, write)  a folder that `write` fills
//   PendingFile, PendingFolder                      the same for work that is spread over an object's life
//
// A temporary has an unpredictable name, is created exclusively, and is the only thing that is ever removed. Reading
// accepts regular files only (or links to them): a pipe or a device never ends, or has no size.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace moga {

inline constexpr uint64_t kMostTextBytes = uint64_t{256} << 20;   // of a text file that is read whole
inline constexpr uint64_t kMostConfigBytes = uint64_t{16} << 20;  // of a config or a script

// Throws with the system's reason when `path` cannot be reached, is not a regular file, or has more than `most_bytes`.
std::string read_text(const std::filesystem::path& path, uint64_t most_bytes = kMostTextBytes);
// Throws unless `path` is a regular file (or a link to one), with the system's reason when it cannot be reached.
void check_regular_file(const std::filesystem::path& path);

// Creates the folder and its parents if they are missing.
void make_folder(const std::filesystem::path& folder);

// Throws when a file of this name could not be written: the name is too long, a folder has it, or its folder is not
// writable. Call it before long work.
void check_writable(const std::filesystem::path& path);
// The same for a folder that must not exist yet.
void check_new_folder(const std::filesystem::path& path);

// Calls write(temporary) with the path of an empty file in the same folder, then syncs it and renames it to `path`.
// When write throws, the temporary is removed and the file at `path` stays as it was. Creates missing parent folders;
// follows links; writes directly to a pipe or device.
void write_atomically(const std::filesystem::path& path,
                      const std::function<void(const std::filesystem::path& temporary)>& write);
void write_text(const std::filesystem::path& path, std::string_view text);

enum class Existing { kRefuse, kReplace };  // what happens to a folder that already has the name

// Calls write(temporary) with the path of an empty folder in the same parent folder, then syncs every file and folder
// in it and renames it to `path`. A replaced folder is exchanged in one step where the file system can do that.
void write_folder_atomically(const std::filesystem::path& path, Existing existing,
                             const std::function<void(const std::filesystem::path& temporary)>& write);

// A file that is being written. Without commit() the destructor removes it.
class PendingFile {
 public:
  explicit PendingFile(const std::filesystem::path& path);
  ~PendingFile();
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;

  const std::filesystem::path& path() const { return path_; }  // as it was given
  // Where to write: an empty file that this object created, or the pipe or device at `path` itself.
  const std::filesystem::path& temporary() const { return temporary_; }
  void commit();

 private:
  std::filesystem::path path_, target_, temporary_;
};

// A folder that is being filled. Without commit() the destructor removes it and what is in it.
class PendingFolder {
 public:
  PendingFolder(const std::filesystem::path& path, Existing existing);
  ~PendingFolder();
  PendingFolder(const PendingFolder&) = delete;
  PendingFolder& operator=(const PendingFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const std::filesystem::path& temporary() const { return temporary_; }
  void commit();
  // Leaves the unfinished folder on the disk under its temporary name, which is returned.
  std::filesystem::path keep();

 private:
  std::filesystem::path path_, target_, temporary_;
  Existing existing_;
  int lock_ = -1;  // held while the folder is being filled; see remove_abandoned
};

// Held while several files of one folder are renamed, so that those of two processes do not mix. Waits for the other
// holder; a file system without locks is used without.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

// Removes the temporary folders of `path` whose process was killed: those with PendingFolder's name that no process
// holds.
void remove_abandoned(const std::filesystem::path& path);

}  // namespace moga
