// Reads values from nodes; contains every message about an invalid config.
#include <algorithm>
#include <cmath>
#include <sstream>

#include "moga/core/config.h"
#include "moga/core/excerpt.h"
#include "moga/core/nearest.h"

namespace moga::config_detail {
namespace {

using Kind = Node::Kind;

std::string shown(const std::string& text) { return "'" + excerpt(text) + "'"; }

std::string description(const Node& node) {
  switch (node.kind) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return node.boolean ? "true" : "false";
    case Kind::kInteger:
      return "the whole number " + std::to_string(node.integer);
    case Kind::kDouble: {
      std::ostringstream text;
      text << "the number " << node.number;
      return text.str();
    }
    case Kind::kString:
      return "the string " + shown(node.text);
    case Kind::kArray:
      return "a list";
    case Kind::kTable:
      return "a table";
    case Kind::kOther:
      return "a date or time";
  }
  return "";
}

[[noreturn]] void wrong_type(const Node& node, const Source& source, const std::string& expected) {
  const std::string what = "expected " + expected + ", found " + description(node);
  fail_at(node, source, node.line > 0 && !node.path.empty() ? node.path + ": " + what : what);
}

constexpr const char* k64Bits = "a whole number from -9223372036854775808 to 9223372036854775807";

// A whole number that int64_t cannot hold: a double in JSON, what was typed on the command line.
bool beyond_64_bits(const Node& node) {
  if (node.kind == Kind::kDouble) return std::trunc(node.number) == node.number && std::abs(node.number) >= 0x1p63;
  const size_t digits = node.text.find_first_of("0123456789");
  return node.kind == Kind::kString && node.as_typed && digits <= 1 && (digits == 0 || node.text[0] == '-') &&
         node.text.find_first_not_of("0123456789", digits) == std::string::npos;
}

// Texts of a file may have several lines; a message has one.
std::string on_one_line(std::string text) {
  for (size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at)) text.replace(at, 1, "\\n");
  return text;
}

// "; did you mean 'steps'?", or all keys if none is close.
std::string suggestion(const std::string& key, const std::vector<std::string>& known) {
  if (known.empty() || !nearest(key, known).empty()) return did_you_mean(key, known);
  std::string all = "; known keys: ";
  for (const std::string& name : known) all += (&name == &known.front() ? "" : ", ") + name;
  return all;
}

}  // namespace

void fail_at(const Node& node, const Source& source, const std::string& message) {
  if (node.line > 0) fail(source.name, ":", node.line, ": ", on_one_line(message));
  fail(source.name, ": ", on_one_line(excerpt(node.path)), node.path.empty() ? "" : ": ", on_one_line(message));
}

Reader::Reader(const Node& table, const Source& source) : table_(table), source_(source) {
  if (table.kind != Kind::kTable) wrong_type(table, source, "a table");
}

const Node* Reader::find(const char* key) {
  keys_.emplace_back(key);
  for (const auto& [name, node] : table_.members)
    if (name == key) return node.kind == Kind::kNull ? nullptr : &node;  // null is the default
  return nullptr;
}

void Reader::finish() const {
  if (source_.ignore_unknown) return;
  const Node::Member* unknown = nullptr;
  for (const auto& member : table_.members) {
    if (member.key.starts_with('_') || std::ranges::find(keys_, member.key) != keys_.end()) continue;
    if (!unknown || member.value.line < unknown->value.line) unknown = &member;
  }
  if (!unknown) return;
  const std::string where = table_.path.empty() ? "" : " in [" + excerpt(table_.path) + "]";
  Node place = table_;
  place.line = unknown->value.line;
  place.path.clear();
  fail_at(place, source_, "unknown key " + shown(unknown->key) + where + suggestion(unknown->key, keys_));
}

const std::vector<Node>& Reader::items_of(const Node& node) const {
  const bool toml_table = node.kind == Kind::kTable && node.line > 0;
  if (node.kind != Kind::kArray) wrong_type(node, source_, toml_table ? "a list, [[" + node.path + "]]" : "a list");
  return node.items;
}

void Reader::read(const Node& node, bool& value) const {
  if (node.kind != Kind::kBool) wrong_type(node, source_, "true or false");
  value = node.boolean;
}

void Reader::read(const Node& node, int64_t& value) const {
  constexpr double kMost = 9007199254740992.0;  // 2^53: beyond it a double is not exact
  const bool whole = node.kind == Kind::kDouble && std::trunc(node.number) == node.number;
  if (whole && std::abs(node.number) <= kMost) {  // 2.0
    value = static_cast<int64_t>(node.number);
    return;
  }
  if (node.kind != Kind::kInteger) wrong_type(node, source_, beyond_64_bits(node) ? k64Bits : "a whole number");
  value = node.integer;
}

void Reader::read(const Node& node, double& value) const {
  if (node.kind != Kind::kInteger && node.kind != Kind::kDouble) wrong_type(node, source_, "a number");
  value = node.kind == Kind::kInteger ? static_cast<double>(node.integer) : node.number;
}

void Reader::read(const Node& node, std::string& value) const {
  if (node.kind != Kind::kString && !node.as_typed) wrong_type(node, source_, "a string");
  value = node.text;
}

}  // namespace moga::config_detail
