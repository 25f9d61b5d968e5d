// See foreign_keys.h.
#include "moga/core/foreign_keys.h"

#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/json_text.h"

namespace moga {
namespace {

// A value on one line, cut where it is long.
std::string shown(const nlohmann::json& value) {
  constexpr size_t kLongest = 80;
  std::string text = printable(value.dump(-1, ' ', /*ensure_ascii=*/true));
  if (text.size() > kLongest) text.replace(kLongest, std::string::npos, "...");
  return text;
}

}  // namespace

void erase_foreign_keys(nlohmann::json& object, std::span<const ForeignKey> known, const std::string& source) {
  for (const ForeignKey& key : known) {
    const auto found = object.find(key.name);
    if (found == object.end()) continue;
    const bool fits = !key.only || found->is_null() || *found == nlohmann::json::parse(key.only);
    check(fits, source, ": ", key.name, " = ", shown(*found), " is not supported, expected ", key.only ? key.only : "",
          *key.means ? ": this is " : "", key.means);
    object.erase(found);
  }
}

}  // namespace moga
