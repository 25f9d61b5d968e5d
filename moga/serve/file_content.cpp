#include "moga/serve/file_content.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "moga/serve/request_head.h"

namespace moga {
namespace {

constexpr size_t kFilePiece = 256 << 10;

class OpenFile {
 public:
  explicit OpenFile(const std::filesystem::path& path) : descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat status {};
    if (descriptor_ < 0 || fstat(descriptor_, &status) != 0 || status.st_size == 0)
      throw ApiError(404, "file_not_found", "the file is not there");
    size_ = static_cast<uint64_t>(status.st_size);
  }
  ~OpenFile() { close(descriptor_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  uint64_t size() const { return size_; }
  // Bytes read; 0 or less when that is not possible.
  ssize_t read(char* to, size_t count, uint64_t at) const {
    return pread(descriptor_, to, count, static_cast<off_t>(at));
  }

 private:
  int descriptor_;
  uint64_t size_ = 0;
};

}  // namespace

void send_file(const std::filesystem::path& path, const char* type, const httplib::Request& request,
               httplib::Response& response) {
  const auto file = std::make_shared<const OpenFile>(path);
  response.set_header("Accept-Ranges", "bytes");
  ByteRange range;
  try {
    range = byte_range(request.get_header_value(kRangeHeader), file->size());
  } catch (const ApiError&) {
    response.set_header("Content-Range", "bytes */" + std::to_string(file->size()));
    throw;
  }
  response.status = range.partial ? 206 : 200;
  if (range.partial)
    response.set_header("Content-Range", "bytes " + std::to_string(range.begin) + "-" + std::to_string(range.end - 1) +
                                             "/" + std::to_string(file->size()));
  response.set_content_provider(range.end - range.begin, type,
                                [file, begin = range.begin](size_t offset, size_t length, httplib::DataSink& sink) {
                                  std::vector<char> piece(std::min(length, kFilePiece));
                                  const ssize_t count = file->read(piece.data(), piece.size(), begin + offset);
                                  return count > 0 && sink.write(piece.data(), static_cast<size_t>(count));
                                });
}

}  // namespace moga
