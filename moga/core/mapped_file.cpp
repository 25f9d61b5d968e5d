// See mapped_file.h. POSIX.
#include "moga/core/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "moga/core/check.h"
#include "moga/core/files.h"

namespace moga {

MappedFile::MappedFile(const std::filesystem::path& path) {
  check_regular_file(path);
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  check(descriptor >= 0, path.string(), ": cannot be opened: ", std::strerror(errno));
  struct stat status {};
  const bool known = fstat(descriptor, &status) == 0;
  size_ = known ? static_cast<uint64_t>(status.st_size) : 0;
  if (size_ > 0) data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
  const int error = errno;
  close(descriptor);
  check(data_ != MAP_FAILED, path.string(), ": cannot be mapped into memory: ", std::strerror(error));
}

MappedFile::~MappedFile() {
  if (size_ > 0 && data_ != MAP_FAILED) munmap(data_, size_);
}

void MappedFile::release(const char* begin, const char* end) const {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));  // the mapping starts at a page
  const size_t first = (static_cast<size_t>(begin - data()) + page - 1) / page * page;
  const size_t last = static_cast<size_t>(end - data()) / page * page;
  if (first < last) madvise(static_cast<char*>(data_) + first, last - first, MADV_DONTNEED);
}

}  // namespace moga
