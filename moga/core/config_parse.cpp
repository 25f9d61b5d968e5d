// Parses TOML, JSON and command-line text into a tree of nodes with line numbers and dotted paths.
#include <toml++/toml.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "moga/core/config.h"
#include "moga/core/excerpt.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"

namespace moga::config_detail {
namespace {

using Kind = Node::Kind;

// A dotted key or table name of many parts becomes as many nested tables, and toml++ and everything after it recurses
// over them. So parts are counted before parsing, outside of strings and comments.
class DottedKeys {
 public:
  DottedKeys(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  void check_depth() {
    for (at_ = 0; at_ < text_.size(); ++at_) {
      const char letter = text_[at_];
      if (letter == '"' || letter == '\'') {
        skip_string(letter);
      } else if (letter == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size()) - 1;
      } else if (letter == '.') {
        if (++dots_ >= kDeepestNesting)
          fail(source_, ":", 1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at_), '\n'),
               ": a key has more than ", kDeepestNesting, " parts");
      } else if (std::string_view("=,[]{}\n").find(letter) != std::string_view::npos) {
        dots_ = 0;
      }
    }
  }

 private:
  // From the opening quote to the closing one; a string without one is left to the parser.
  void skip_string(char quote) {
    const std::string three(3, quote);
    const bool long_one = text_.substr(at_, 3) == three;
    const std::string_view end = long_one ? std::string_view(three) : std::string_view(three).substr(0, 1);
    for (at_ += end.size(); at_ < text_.size() && text_.substr(at_, end.size()) != end; ++at_) {
      if (!long_one && text_[at_] == '\n') return;
      if (quote == '"' && text_[at_] == '\\') ++at_;
    }
    at_ += end.size() - 1;
  }

  std::string_view text_;
  const std::string& source_;
  size_t at_ = 0, dots_ = 0;
};

std::string path_of(const Node& parent, const std::string& key) {
  return parent.path.empty() ? key : parent.path + "." + key;
}

std::string path_of(const Node& parent, size_t index) { return parent.path + "[" + std::to_string(index) + "]"; }

void fill(Node& node, const toml::node& value) {
  node.line = value.source().begin.line;
  if (const toml::table* table = value.as_table()) {
    node.kind = Kind::kTable;
    for (const auto& [key, member] : *table) {
      Node child;
      child.path = path_of(node, std::string(key.str()));
      fill(child, member);
      child.line = key.source().begin.line;  // a table named only by its sub-tables has no position of its own
      node.members.emplace_back(std::string(key.str()), std::move(child));
    }
  } else if (const toml::array* array = value.as_array()) {
    node.kind = Kind::kArray;
    for (const toml::node& item : *array) {
      Node child;
      child.path = path_of(node, node.items.size());
      fill(child, item);
      node.items.push_back(std::move(child));
    }
  } else if (const auto* boolean = value.as_boolean()) {
    node.kind = Kind::kBool;
    node.boolean = boolean->get();
  } else if (const auto* integer = value.as_integer()) {
    node.kind = Kind::kInteger;
    node.integer = integer->get();
  } else if (const auto* number = value.as_floating_point()) {
    node.kind = Kind::kDouble;
    node.number = number->get();
  } else if (const auto* text = value.as_string()) {
    node.kind = Kind::kString;
    node.text = text->get();
  } else {
    node.kind = Kind::kOther;  // dates and times
  }
}

void fill(Node& node, const nlohmann::json& value) {
  if (value.is_object()) {
    node.kind = Kind::kTable;
    for (const auto& [key, member] : value.items()) {
      Node child;
      child.path = path_of(node, key);
      fill(child, member);
      node.members.emplace_back(key, std::move(child));
    }
  } else if (value.is_array()) {
    node.kind = Kind::kArray;
    for (const nlohmann::json& item : value) {
      Node child;
      child.path = path_of(node, node.items.size());
      fill(child, item);
      node.items.push_back(std::move(child));
    }
  } else if (value.is_boolean()) {
    node.kind = Kind::kBool;
    node.boolean = value.get<bool>();
  } else if (value.is_number_integer() && !(value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX)) {
    node.kind = Kind::kInteger;
    node.integer = value.get<int64_t>();
  } else if (value.is_number()) {
    node.kind = Kind::kDouble;
    node.number = value.get<double>();
  } else if (value.is_string()) {
    node.kind = Kind::kString;
    node.text = value.get<std::string>();
  }
}

// What toml++ says; for a whole number that int64_t cannot hold also the key, where its line has one, and the range.
std::string problem_of(const toml::parse_error& error, const std::string& text) {
  const std::string said(error.description());
  const size_t begin = said.find('\''), end = said.rfind('\'');
  if (said.find("not representable in 64 bits") == std::string::npos || begin == end) return said;
  std::istringstream lines(text);
  std::string line;
  for (toml::source_index i = 0; i < error.source().begin.line; ++i) std::getline(lines, line);
  const size_t equals = line.find('=');
  const std::string key =
      equals == std::string::npos ? "" : line.substr(0, line.find_last_not_of("= \t", equals) + 1) + ": ";
  std::string number = said.substr(begin + 1, end - begin - 1);
  if (line.find("-" + number) != std::string::npos) number.insert(0, "-");  // toml++ says it without its sign
  return excerpt(key) + "expected a whole number from -9223372036854775808 to 9223372036854775807, found " +
         excerpt(number);
}

// The text after "=" on the command line: a TOML value, or otherwise plain text.
Node value_as_typed(const std::string& text, const std::string& path, const std::string& source) {
  Node node;
  node.path = path;
  try {
    DottedKeys(text, source).check_depth();
    const toml::table table = toml::parse("value = " + text);
    if (table.size() == 1) fill(node, *table.get("value"));
  } catch (const toml::parse_error&) {
    node.kind = Kind::kString;
  } catch (const Error&) {  // a text of many dots
    node.kind = Kind::kString;
  }
  if (node.kind != Kind::kString || node.text.empty()) node.text = text;
  node.line = 0;
  for (Node& item : node.items) item.line = 0;
  node.as_typed = true;
  return node;
}

Node& child_table(Node& parent, const std::string& key) {
  parent.kind = Kind::kTable;
  for (auto& [name, child] : parent.members) {
    if (name == key) return child;
  }
  Node child;
  child.path = path_of(parent, key);
  return parent.members.emplace_back(key, std::move(child)).value;
}

}  // namespace

std::string read_config_text(const std::filesystem::path& path) { return read_text(path, kMostConfigBytes); }

Node toml_tree(const std::string& text, const std::string& source) {
  Node tree;
  DottedKeys(text, source).check_depth();
  try {
    fill(tree, toml::parse(text));
  } catch (const toml::parse_error& error) {
    Node place;
    place.line = error.source().begin.line;
    fail_at(place, {source}, problem_of(error, text));
  }
  tree.line = 0;
  return tree;
}

Node json_tree(const std::string& text, const std::string& source) {
  Node tree;
  fill(tree, parse_json_object(text, source));
  return tree;
}

Node override_tree(const std::vector<std::string>& key_values, const std::string& source) {
  Node tree;
  tree.kind = Kind::kTable;
  for (const std::string& key_value : key_values) {
    const size_t equals = key_value.find('=');
    check(equals != std::string::npos && equals > 0, source, ": '", excerpt(key_value), "': expected key=value");
    const std::string path = key_value.substr(0, equals);
    check(static_cast<size_t>(std::ranges::count(path, '.')) < kDeepestNesting, source, ": '", excerpt(path, 40),
          "': the key has more than ", kDeepestNesting, " parts");
    Node* node = &tree;
    for (size_t begin = 0, end = 0; end != std::string::npos; begin = end + 1) {
      end = path.find('.', begin);
      const std::string key = path.substr(begin, end - begin);
      check(!key.empty(), source, ": '", excerpt(key_value), "': expected key=value with a dotted key");
      node = &child_table(*node, key);
    }
    *node = value_as_typed(key_value.substr(equals + 1), path, source);
  }
  return tree;
}

}  // namespace moga::config_detail
