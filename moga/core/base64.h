// Bytes as base64 text (RFC 4648, with padding).
#pragma once

#include <string>
#include <string_view>

namespace moga {

std::string base64(std::string_view bytes);

}  // namespace moga
