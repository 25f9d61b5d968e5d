// Parsing with duplicate keys refused, which nlohmann::json by itself overwrites in silence.
#include "moga/core/json_text.h"

#include <set>
#include <vector>

#include "moga/core/check.h"

namespace moga {

using nlohmann::json;

std::string quoted(const std::string& text) { return json(text).dump(-1, ' ', false, json::error_handler_t::replace); }

std::string reason(const json::exception& error) {
  const std::string text = error.what();  // "[json.exception.parse_error.101] parse error at line 1, …"
  const size_t end = text.find("] ");
  return text.starts_with("[json.") && end != std::string::npos ? text.substr(end + 2) : text;
}

json parse_json_object(std::string_view text, const std::string& source) {
  std::vector<std::set<std::string>> open;  // the keys seen in each object that is being parsed
  const auto refuse_duplicates = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) open.emplace_back();
    if (event == json::parse_event_t::object_end) open.pop_back();
    if (event == json::parse_event_t::key && !open.back().insert(parsed.get<std::string>()).second)
      fail(source, ": ", quoted(parsed.get<std::string>()), " occurs twice");
    return true;
  };
  json object;
  try {
    object = json::parse(text, refuse_duplicates);
  } catch (const json::exception& error) {
    fail(source, ": malformed JSON: ", reason(error));
  }
  check(object.is_object(), source, ": expected a JSON object, found ", object.type_name());
  return object;
}

}  // namespace moga
