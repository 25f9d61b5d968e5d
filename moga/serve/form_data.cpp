#include "moga/serve/form_data.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "moga/serve/api_error.h"

namespace moga {
namespace {

constexpr size_t kMostFields = 32, kLongestFormHead = 2048;

[[noreturn]] void malformed(const char* what) { refuse("invalid_form", "the form is malformed: ", what); }

std::string_view boundary_of(std::string_view type) {
  constexpr std::string_view kKey = "boundary=";
  const size_t at = type.find(kKey);
  if (at == std::string_view::npos) malformed("Content-Type has no boundary");
  std::string_view boundary = type.substr(at + kKey.size());
  boundary = boundary.substr(0, boundary.find(';'));
  if (boundary.size() >= 2 && boundary.front() == '"' && boundary.back() == '"')
    boundary = boundary.substr(1, boundary.size() - 2);
  if (boundary.empty() || boundary.size() > 70) malformed("the boundary has no or more than 70 characters");
  return boundary;
}

// The value of key="…" in a part's head; empty when it is absent.
std::string_view quoted_value(std::string_view head, std::string_view key) {
  const std::string start = " " + std::string(key) + "=\"";
  const size_t at = head.find(start);
  if (at == std::string_view::npos) return {};
  const size_t begin = at + start.size(), end = head.find('"', begin);
  if (end == std::string_view::npos) malformed("a quote is missing");
  return head.substr(begin, end - begin);
}

std::string to_base64(std::string_view bytes) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j) bits = bits << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j) text += j <= count ? kLetters[bits >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

// By its first bytes: clients name the type as they like.
std::string data_url(std::string_view bytes) {
  return std::string("data:image/") + (bytes.starts_with("\xff\xd8") ? "jpeg" : "png") + ";base64," + to_base64(bytes);
}

void add_field(nlohmann::json& fields, std::string_view head, std::string_view content) {
  if (head.size() > kLongestFormHead) malformed("the head of a field is too long");
  const std::string name(quoted_value(head, "name"));
  if (name.empty()) malformed("a field has no name");
  if (fields.contains(name)) malformed("a field is given twice");
  if (fields.size() >= kMostFields) malformed("there are too many fields");
  const bool file = head.find(" filename=") != std::string_view::npos;
  fields[name] = file ? data_url(content) : std::string(content);
}

}  // namespace

std::string json_of_form(const std::string& type, const std::string& body) {
  const std::string line = "--" + std::string(boundary_of(type)), next = "\r\n" + line;
  std::string_view rest = body;
  nlohmann::json fields = nlohmann::json::object();
  if (!rest.starts_with(line)) malformed("it does not start with its boundary");
  rest.remove_prefix(line.size());
  while (!rest.starts_with("--")) {
    if (!rest.starts_with("\r\n")) malformed("a boundary is not a line");
    const size_t head = rest.find("\r\n\r\n"), end = rest.find(next, head == std::string_view::npos ? 0 : head + 2);
    if (head == std::string_view::npos || end == std::string_view::npos) malformed("a field does not end");
    const size_t begin = std::min(head + 4, end);
    add_field(fields, rest.substr(0, head), rest.substr(begin, end - begin));
    rest.remove_prefix(end + next.size());
  }
  return fields.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace moga
