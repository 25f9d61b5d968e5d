#include "moga/serve/request_head.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace moga {
namespace {

constexpr const char* kBad = "bad_request";

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& letter : result)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return result;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(letter) != std::string_view::npos;
  });
}

bool has_controls(std::string_view text) {
  return std::ranges::any_of(
      text, [](char letter) { return static_cast<unsigned char>(letter) < 0x20 ? letter != '\t' : letter == 0x7f; });
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

void check_request_line(std::string_view line, const HeadLimits& limits) {
  const size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || line.find(' ', first + 1) != last)
    refuse(kBad, "the request line is not METHOD PATH HTTP/1.1");
  const std::string_view version = line.substr(last + 1), target = line.substr(first + 1, last - first - 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") throw ApiError(505, kBad, "only HTTP/1.1 is spoken here");
  if (target.size() > limits.target)
    throw ApiError(414, kBad, "the path has more than " + std::to_string(limits.target) + " bytes");
  if (!target.starts_with('/')) refuse(kBad, "the path does not start with /");
}

class HeadReader {
 public:
  HeadReader(const HeadLimits& limits) : limits_(limits) {}

  RequestHead read(std::string_view head) {
    size_t headers = 0;
    for (bool first = true; !head.empty(); first = false) {
      const size_t end = head.find("\r\n");
      if (end == std::string_view::npos) refuse(kBad, "a line of the head does not end with CR LF");
      const std::string_view line = head.substr(0, end);
      head.remove_prefix(end + 2);
      if (has_controls(line)) refuse(kBad, "the head has control characters");
      if (first) {
        check_request_line(line, limits_);
        method_ = line.substr(0, line.find(' '));
        result_.text = std::string(line) + "\r\n";
      } else if (!line.empty()) {
        if (++headers > limits_.headers)
          throw ApiError(431, kBad, "there are more than " + std::to_string(limits_.headers) + " headers");
        add_header(line);
      }
    }
    finish();
    return std::move(result_);
  }

 private:
  void add_header(std::string_view line) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
      refuse(kBad, "a header is not NAME: VALUE");
    const std::string name = lower(line.substr(0, colon));
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (name == lower(kRangeHeader) || name == lower(kFormHeader)) return;
    if (name == "content-type" && lower(value).starts_with("multipart/")) return add(kFormHeader, value);
    if (name == "range") return add(kRangeHeader, value);
    if (name == "transfer-encoding")
      throw ApiError(501, kBad, "Transfer-Encoding is not supported; send the body with a Content-Length");
    if (name == "content-encoding" && lower(value) != "identity")
      throw ApiError(415, kBad, "compressed bodies are not supported");
    if (name == "expect" && lower(value) != "100-continue")
      throw ApiError(417, kBad, "the only expectation that is met is 100-continue");
    if (name == "content-length") set_length(value);
    if (name == "host" && std::exchange(has_host_, true)) refuse(kBad, "Host is given twice");
    add(std::string(line.substr(0, colon)), value);
  }

  void set_length(std::string_view value) {
    const auto length = number(value);
    if (length_ || !length) refuse(kBad, "Content-Length is given twice or is not a number");
    length_ = length;
  }

  void finish() {
    const bool sends = method_ == "POST" || method_ == "PUT" || method_ == "PATCH";
    if (sends && !length_) throw ApiError(411, kBad, "Content-Length is missing");
    result_.body_bytes = length_.value_or(0);
    if (result_.body_bytes > limits_.body)
      throw ApiError(413, "body_too_large",
                     "the body has " + std::to_string(result_.body_bytes) + " bytes, expected at most " +
                         std::to_string(limits_.body));
    result_.text += "\r\n";
  }

  void add(const std::string& name, std::string_view value) {
    result_.text += name + ": " + std::string(value) + "\r\n";
  }

  const HeadLimits& limits_;
  RequestHead result_;
  std::string method_;
  std::optional<uint64_t> length_;
  bool has_host_ = false;
};

}  // namespace

RequestHead read_head(std::string_view head, const HeadLimits& limits) { return HeadReader(limits).read(head); }

ByteRange byte_range(const std::string& range, uint64_t size) {
  const ByteRange whole{0, size, false};
  constexpr std::string_view kUnit = "bytes=";
  if (!range.starts_with(kUnit)) return whole;
  const std::string_view text = std::string_view(range).substr(kUnit.size());
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos) return whole;
  const auto first = number(text.substr(0, dash)), last = number(text.substr(dash + 1));
  const bool has_first = dash > 0, has_last = dash + 1 < text.size();
  if ((has_first && !first) || (has_last && !last) || (!has_first && !has_last)) return whole;
  if (has_first && has_last && *last < *first) return whole;
  ByteRange result{0, size, true};
  if (has_first) result.begin = *first;
  if (has_first && has_last) result.end = std::min(size, *last == UINT64_MAX ? size : *last + 1);
  if (!has_first) result.begin = size - std::min(size, *last);
  if (result.begin >= result.end)
    throw ApiError(416, "range_not_satisfiable", "the file has " + std::to_string(size) + " bytes");
  return result;
}

}  // namespace moga
