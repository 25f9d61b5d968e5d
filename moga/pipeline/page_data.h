// A page that opens from disk: HTML with JSON in the place of a marker. Nothing in it is loaded from elsewhere. Text
// from outside is inside JSON in which "<" is escaped; the page shows it as text.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace moga {

// `marker` stands in the page once, as the text of a script of type application/json.
std::string page_with_data(std::string page, const std::string& marker, const nlohmann::json& data);

}  // namespace moga
