// A whole file, read-only, as memory: pages are read when they are touched. Private to the folder.
#pragma once

#include <cstdint>
#include <filesystem>

namespace moga {

class MappedFile {
 public:
  // Throws when the file cannot be opened or mapped.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const char* data() const { return static_cast<const char*>(data_); }
  uint64_t size() const { return size_; }

  // Releases the whole pages in a range from this process's memory; if read again, they are loaded from the file.
  // Without this, all shards of a model would be resident by the time the last one is copied.
  void release(const char* begin, const char* end) const;

 private:
  void* data_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace moga
