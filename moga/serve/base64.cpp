#include "moga/serve/base64.h"

#include <cstdint>
#include <utility>

namespace moga {
namespace {

// 0 to 63, or −1.
int value_of(char letter) {
  if (letter >= 'A' && letter <= 'Z') return letter - 'A';
  if (letter >= 'a' && letter <= 'z') return letter - 'a' + 26;
  if (letter >= '0' && letter <= '9') return letter - '0' + 52;
  return letter == '+' ? 62 : letter == '/' ? 63 : -1;
}

}  // namespace

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 3);
  uint32_t bits = 0;
  int count = 0;
  for (const char letter : text) {
    const int value = value_of(letter);
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xff);
  }
  if ((bits & ((1u << count) - 1)) != 0) return std::nullopt;  // bits beyond the last byte
  return bytes;
}

std::optional<Picture> picture_of(std::string_view data_url) {
  for (const auto& [start, extension] :
       {std::pair{std::string_view("data:image/png;base64,"), ".png"}, {"data:image/jpeg;base64,", ".jpg"}}) {
    if (!data_url.starts_with(start)) continue;
    auto bytes = from_base64(data_url.substr(start.size()));
    if (!bytes || bytes->empty()) return std::nullopt;
    return Picture{extension, std::move(*bytes)};
  }
  return std::nullopt;
}

}  // namespace moga
