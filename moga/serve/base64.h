// Base64 (RFC 4648, section 4), and pictures as data URLs.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace moga {

// Empty when `text` is not Base64 with its padding.
std::optional<std::string> from_base64(std::string_view text);

struct Picture {
  std::string extension;  // ".png" or ".jpg"
  std::string bytes;
};
// "data:image/png;base64,…" or "data:image/jpeg;base64,…"; empty when it is something else.
std::optional<Picture> picture_of(std::string_view data_url);

}  // namespace moga
