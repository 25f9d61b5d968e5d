// See agree.h.
#include "tests/fuzz/agree.h"

namespace moga::test {
namespace {

using nlohmann::json;

[[noreturn]] void wrong(const std::string& place, const json& given, const json& used) {
  throw Wrong(place + ": given " + given.dump(-1, ' ', false, json::error_handler_t::replace) + ", used " +
              used.dump(-1, ' ', false, json::error_handler_t::replace));
}

void check_list(const json& given, const json& used, const std::set<std::string>& foreign, const std::string& place) {
  if (!used.is_array() || given.size() != used.size()) wrong(place, given, used);
  for (size_t i = 0; i < given.size(); ++i) check_agrees(given[i], used[i], foreign, place + "." + std::to_string(i));
}

}  // namespace

void check_agrees(const json& given, const json& used, const std::set<std::string>& foreign, const std::string& place) {
  if (given.is_null()) return;
  if (given.is_array()) return check_list(given, used, foreign, place);
  if (given.is_number() && used.is_number()) {
    if (given.get<double>() != used.get<double>()) wrong(place, given, used);
    return;
  }
  if (!given.is_object()) {
    if (given != used) wrong(place, given, used);
    return;
  }
  for (const auto& [key, value] : given.items()) {
    if (key.starts_with("_") || foreign.contains(key)) continue;
    if (!used.contains(key)) throw Wrong(place + ": the key " + key + " was ignored");
    check_agrees(value, used[key], foreign, place + "." + key);
  }
}

}  // namespace moga::test
