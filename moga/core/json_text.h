// JSON objects from files that may be damaged: one line on error, duplicate keys refused.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>

namespace moga {

nlohmann::json parse_json_object(std::string_view text, const std::string& source);

// A string in quotes, on one line whatever it contains.
std::string quoted(const std::string& text);

}  // namespace moga
