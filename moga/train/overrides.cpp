// Settings of the command line over a TOML config. See overrides.h.
#include "moga/train/overrides.h"

#include <toml++/toml.h>

#include <algorithm>
#include <sstream>

#include "moga/core/check.h"

namespace moga {
namespace {

toml::table parse(const std::string& text, const std::string& source) {
  try {
    return toml::parse(text, source);
  } catch (const toml::parse_error& error) {
    fail(source, ":", error.source().begin.line, ": ", error.description());
  }
}

// {"value": …} with the value as TOML, or as text.
toml::table parse_value(const std::string& value) {
  try {
    return toml::parse("value = " + value + "\n");
  } catch (const toml::parse_error&) {
    return toml::table{{"value", value}};
  }
}

std::vector<std::string> split(const std::string& key) {
  std::vector<std::string> parts;
  std::istringstream stream(key);
  for (std::string part; std::getline(stream, part, '.');) parts.push_back(part);
  return parts;
}

// The node behind `part`: an entry of a table, made when it is missing, or an element of an array.
toml::node* descend(toml::node& node, const std::string& part) {
  if (toml::array* array = node.as_array()) {
    const bool number = !part.empty() && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    return number ? array->get(std::stoul(part)) : nullptr;
  }
  toml::table* table = node.as_table();
  if (!table) return nullptr;
  if (!table->contains(part)) table->insert(part, toml::table{});
  return table->get(part);
}

void apply(toml::table& root, const std::string& setting, const std::string& source) {
  const size_t equals = setting.find('=');
  check(equals != std::string::npos && equals > 0, "--set ", setting, ": expected key=value");
  const std::vector<std::string> parts = split(setting.substr(0, equals));
  toml::node* node = &root;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    node = descend(*node, parts[i]);
    check(node != nullptr, "--set ", setting, ": ", source, " has no ", parts[i]);
  }
  toml::table value = parse_value(setting.substr(equals + 1));
  check(node->is_table(), "--set ", setting, ": ", parts.back(), " is not in a section");
  node->as_table()->insert_or_assign(parts.back(), std::move(*value.get("value")));
}

}  // namespace

std::string apply_settings(const std::string& toml, const std::vector<std::string>& settings,
                           const std::string& source) {
  toml::table root = parse(toml, source);
  for (const std::string& setting : settings) apply(root, setting, source);
  std::ostringstream text;
  text << root << "\n";
  return text.str();
}

}  // namespace moga
