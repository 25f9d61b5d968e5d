// JSON objects from files that may be damaged: one line on error, duplicate keys refused.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace moga {

nlohmann::json parse_json_object(std::string_view text, const std::string& source);

// What the parser says of malformed text, without its internal error number.
std::string reason(const nlohmann::json::exception& error);

// A string in quotes, on one line whatever it contains.
std::string quoted(const std::string& text);

}  // namespace moga
