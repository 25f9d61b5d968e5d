// See page_data.h.
#include "moga/pipeline/page_data.h"

#include <nlohmann/json.hpp>

#include "moga/core/check.h"

namespace moga {
namespace {

std::string in_script(std::string text) {
  for (size_t at = 0; (at = text.find('<', at)) != std::string::npos; at += 6) text.replace(at, 1, "\\u003c");
  return text;
}

}  // namespace

std::string page_with_data(std::string page, const std::string& marker, const nlohmann::json& data) {
  const size_t at = page.find(marker);
  check(at != std::string::npos, "the page has no place for its data");
  return page.replace(at, marker.size(),
                      in_script(data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
}

}  // namespace moga
