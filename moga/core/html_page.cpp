// See html_page.h.
#include "moga/core/html_page.h"

#include <nlohmann/json.hpp>

#include "moga/core/check.h"

namespace moga {

PageAroundData page_around_data(const std::string& page, const std::string& place) {
  const size_t at = page.find(place);
  check(at != std::string::npos, "the page has no place for its data");
  return {page.substr(0, at), page.substr(at + place.size())};
}

std::string escaped_for_script(const std::string& json_text) {
  std::string escaped;
  escaped.reserve(json_text.size());
  for (const char c : json_text) {
    if (c == '<')
      escaped += "\\u003c";
    else
      escaped += c;
  }
  return escaped;
}

std::string page_with_data(std::string page, const std::string& place, const std::string& json_text) {
  const PageAroundData around = page_around_data(page, place);
  return around.before + escaped_for_script(json_text) + around.after;
}

std::string page_with_data(std::string page, const std::string& place, const nlohmann::json& data) {
  return page_with_data(std::move(page), place, data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace moga
