// A tree of nodes to TOML with help after every key, or to JSON.
#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "moga/core/config.h"

namespace moga::config_detail {
namespace {

using Kind = Node::Kind;

Node node(Kind kind) {
  Node result;
  result.kind = kind;
  return result;
}

// The shortest text that reads back as the same double; TOML requires a point or an exponent.
std::string number_text(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  const std::string result(text, end);
  return result.find_first_of(".enai") == std::string::npos ? result + ".0" : result;
}

std::string string_text(const std::string& value) {
  std::string text = "\"";
  for (const char letter : value) {
    const auto code = static_cast<unsigned char>(letter);
    if (letter == '"' || letter == '\\') {
      text += {'\\', letter};
    } else if (letter == '\n') {
      text += "\\n";
    } else if (code < 0x20 || code == 0x7f) {
      constexpr const char* kDigits = "0123456789ABCDEF";
      text += std::string("\\u00") + kDigits[code >> 4] + kDigits[code & 15];
    } else {
      text += letter;
    }
  }
  return text + "\"";
}

bool is_table_array(const Node& value) {
  return value.kind == Kind::kArray && !value.items.empty() && value.items[0].kind == Kind::kTable;
}

bool has_section(const Node& value) { return value.kind == Kind::kTable || is_table_array(value); }

std::string value_text(const Node& value) {
  if (value.kind == Kind::kBool) return value.boolean ? "true" : "false";
  if (value.kind == Kind::kInteger) return std::to_string(value.integer);
  if (value.kind == Kind::kDouble) return number_text(value.number);
  if (value.kind == Kind::kString) return string_text(value.text);
  std::string list = "[";
  for (const Node& item : value.items) list += (list.size() > 1 ? ", " : "") + value_text(item);
  return list + "]";
}

std::string key_line(const std::string& key, const Node& value) {
  return value.kind == Kind::kNull ? "# " + key + " is not set" : key + " = " + value_text(value);
}

void write_keys(const Node& table, std::string& out) {
  constexpr size_t kWidest = 48;  // longer lines do not shift the comment column of their table
  size_t width = 0;
  for (const auto& [key, value] : table.members) {
    const size_t length = has_section(value) ? 0 : key_line(key, value).size();
    if (length <= kWidest) width = std::max(width, length);
  }
  for (const auto& [key, value] : table.members) {
    if (has_section(value)) continue;
    std::string line = key_line(key, value);
    if (!value.help.empty())
      line += std::string(std::max(width, line.size()) - line.size() + 2, ' ') + "# " + value.help;
    out += line + "\n";
  }
}

void write_table(const Node& table, const std::string& path, std::string& out) {
  write_keys(table, out);
  for (const auto& [key, value] : table.members) {
    if (!has_section(value)) continue;
    const std::string name = path.empty() ? key : path + "." + key;
    const std::string help = value.help.empty() ? "" : "  # " + value.help;
    if (value.kind == Kind::kTable) {
      out += "\n[" + name + "]" + help + "\n";
      write_table(value, name, out);
    }
    for (const Node& item : value.items) {
      out += "\n[[" + name + "]]" + (&item == &value.items.front() ? help : "") + "\n";
      write_table(item, name, out);
    }
  }
}

nlohmann::ordered_json json_of(const Node& value) {
  nlohmann::ordered_json json;
  switch (value.kind) {
    case Kind::kBool:
      return value.boolean;
    case Kind::kInteger:
      return value.integer;
    case Kind::kDouble:
      return value.number;
    case Kind::kString:
      return value.text;
    case Kind::kArray:
      json = nlohmann::ordered_json::array();
      for (const Node& item : value.items) json.push_back(json_of(item));
      return json;
    case Kind::kTable:
      json = nlohmann::ordered_json::object();
      for (const auto& [key, member] : value.members) json[key] = json_of(member);
      return json;
    default:
      return nullptr;
  }
}

}  // namespace

Node Writer::node_of(bool value) {
  Node result = node(Kind::kBool);
  result.boolean = value;
  return result;
}

Node Writer::node_of(int64_t value) {
  Node result = node(Kind::kInteger);
  result.integer = value;
  return result;
}

Node Writer::node_of(double value) {
  Node result = node(Kind::kDouble);
  result.number = value;
  return result;
}

Node Writer::node_of(const std::string& value) {
  Node result = node(Kind::kString);
  result.text = value;
  return result;
}

std::string toml_text(const Node& tree) {
  std::string out;
  write_table(tree, "", out);
  return out;
}

std::string json_text(const Node& tree) {
  return json_of(tree).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace moga::config_detail
