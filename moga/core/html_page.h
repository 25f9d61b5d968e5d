// Pages that open from disk: an HTML file of the source tree, with data as JSON in a <script> of it. Nothing is loaded
// from elsewhere.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace moga {

// `page` with `place`, which it has once, replaced by the data. "<" is escaped in the JSON, so that text from outside
// cannot end the script.
std::string page_with_data(std::string page, const std::string& place, const nlohmann::json& data);
std::string page_with_data(std::string page, const std::string& place, const std::string& json_text);

// The same for data that is written piece by piece: the page before and after the data, and the escaping of each piece.
struct PageAroundData {
  std::string before, after;
};
PageAroundData page_around_data(const std::string& page, const std::string& place);
std::string escaped_for_script(const std::string& json_text);

}  // namespace moga
