// The head of an HTTP/1.1 request: request line and headers, checked before the library parses them.
//
// The library bounds neither the length of a line while it is read, nor the number of headers, nor bodies without a
// length or in compressed form, and it computes ranges that a file does not have. So a head that is longer, or asks for
// any of these, is refused here; "Range" and the type of a form reach the handlers under other names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "moga/serve/api_error.h"

namespace moga {

struct HeadLimits {
  size_t bytes = 16 << 10;  // of the head
  size_t headers = 64;
  size_t target = 1 << 10;  // bytes of path and query
  uint64_t body = uint64_t{32} << 20;
};

// The header that holds what the client's "Range" said.
inline constexpr const char* kRangeHeader = "Moga-Range";
// What "Content-Type" said, of a form: the library would read its body (form_data.h).
inline constexpr const char* kFormHeader = "Moga-Form";

struct RequestHead {
  std::string text;  // for the library
  uint64_t body_bytes = 0;
};

// `head`: through the empty line. Throws ApiError.
RequestHead read_head(std::string_view head, const HeadLimits& limits);

// The bytes that a range asks for, of a file of `size` bytes; the whole file when `range` is empty or not of the form
// bytes=A-B, bytes=A- or bytes=-N. Throws ApiError, 416, when it is beyond the end.
struct ByteRange {
  uint64_t begin = 0, end = 0;  // [begin, end)
  bool partial = false;
};
ByteRange byte_range(const std::string& range, uint64_t size);

}  // namespace moga
