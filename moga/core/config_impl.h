// The templates behind config.h: they only apply a struct's fields() to a tree of nodes. Parsing, error messages and
// writing work on the tree and are compiled once (config_parse.cpp, config_read.cpp, config_write.cpp).
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "moga/core/check.h"
#include "moga/core/choice.h"
#include "moga/core/cloned.h"

namespace moga::config_detail {

// A value of a TOML or JSON file with its position, or a value to be written with its help text.
struct Node {
  struct Member;
  enum class Kind { kNull, kBool, kInteger, kDouble, kString, kArray, kTable, kOther };
  Kind kind = Kind::kNull;
  bool boolean = false;
  int64_t integer = 0;
  double number = 0.0;
  std::string text;  // kString; for values from the command line always the text as typed
  std::vector<Node> items;
  std::vector<Member> members;
  std::string path;  // "sampler.steps", "shot[1].caption"; empty at the top
  std::string help;
  int64_t line = 0;       // 0: unknown
  bool as_typed = false;  // from the command line, where a string needs no quotes
};

struct Node::Member {
  std::string key;
  Node value;
};

struct Source {
  std::string name;
  bool ignore_unknown = false;
};

Node toml_tree(const std::string& text, const std::string& source);
Node json_tree(const std::string& text, const std::string& source);
Node override_tree(const std::vector<std::string>& key_values, const std::string& source);
std::string read_config_text(const std::filesystem::path& path);

std::string toml_text(const Node& tree);
std::string json_text(const Node& tree);

// "file.toml:12: " + parts; without a line number, the path is used instead.
[[noreturn]] void fail_at(const Node& node, const Source& source, const std::string& message);

struct AnyField {
  template <class Value>
  void operator()(const char*, Value&, const char* = "") {}
};
template <class Config>
concept HasFields = requires(Config config, AnyField field) {
  config.fields(field);
};
template <class Config>
concept HasValidate = requires(const Config config) {
  config.validate();
};

// The base of configs that are known by an interface alone, as those of model families: each reads and writes its
// table.
template <class Config>
concept HasTree = requires(Config& config, const Node& node, const Source& source) {
  config.read_tree(node, source);
  { config.tree() } -> std::same_as<Node>;
};

// Reads one table into a struct's fields; fields whose key is absent keep their values.
class Reader {
 public:
  Reader(const Node& table, const Source& source);

  template <class Value>
  void operator()(const char* key, Value& value, const char* = "") {
    if (const Node* node = find(key)) read(*node, value);
  }
  // Throws on keys of the table that no field has requested.
  void finish() const;

  template <HasFields Config>
  void read(const Node& node, Config& config) const {
    Reader reader(node, source_);
    config.fields(reader);
    reader.finish();
    if constexpr (HasValidate<Config>) {
      try {
        config.validate();
      } catch (const Error& error) {
        fail_at(node, source_, node.path.empty() || node.line == 0 ? error.what() : node.path + ": " + error.what());
      }
    }
  }

 private:
  const Node* find(const char* key);
  const std::vector<Node>& items_of(const Node& node) const;
  void read(const Node& node, bool& value) const;
  void read(const Node& node, int64_t& value) const;
  void read(const Node& node, double& value) const;
  void read(const Node& node, std::string& value) const;

  template <HasChoices Enum>
  void read(const Node& node, Enum& value) const {
    std::string name;
    read(node, name);
    try {
      value = choice<Enum>(node.path, name);
    } catch (const Error& error) {
      if (node.line == 0) fail(source_.name, ": ", error.what());  // the text names the path already
      fail_at(node, source_, error.what());
    }
  }
  template <HasTree Config>
  void read(const Node& node, Cloned<Config>& config) const {
    config->read_tree(node, source_);
  }
  template <class Value>
  void read(const Node& node, std::optional<Value>& value) const {
    if (node.kind == Node::Kind::kNull) return value.reset();
    if (!value) value.emplace();
    read(node, *value);
  }
  template <class Value>
  void read(const Node& node, std::vector<Value>& values) const {
    values.clear();
    for (const Node& item : items_of(node)) {
      Value value{};
      read(item, value);
      values.push_back(std::move(value));
    }
  }

  const Node& table_;
  const Source& source_;
  std::vector<std::string> keys_;  // requested, in order
};

// Collects a struct's fields into a table.
class Writer {
 public:
  template <class Value>
  void operator()(const char* key, Value& value, const char* help = "") {
    Node node = node_of(value);
    node.help = help;
    if constexpr (HasChoices<Value>) node.help += (node.help.empty() ? "" : ": ") + choice_list<Value>();
    table_.members.emplace_back(key, std::move(node));
  }

  template <HasFields Config>
  static Node node_of(Config& config) {
    Writer writer;
    writer.table_.kind = Node::Kind::kTable;
    config.fields(writer);
    return std::move(writer.table_);
  }
  template <HasTree Config>
  static Node node_of(Cloned<Config>& config) {
    return config->tree();
  }

 private:
  static Node node_of(bool value);
  static Node node_of(int64_t value);
  static Node node_of(double value);
  static Node node_of(const std::string& value);
  template <HasChoices Enum>
  static Node node_of(Enum value) {
    return node_of(std::string(name_of(value)));
  }

  template <class Value>
  static Node node_of(std::optional<Value>& value) {
    return value ? node_of(*value) : Node{};
  }
  template <class Value>
  static Node node_of(std::vector<Value>& values) {
    Node node;
    node.kind = Node::Kind::kArray;
    for (auto&& value : values) node.items.push_back(node_of(value));
    return node;
  }

  Node table_;
};

template <class Config>
Config read_tree(const Node& tree, const Source& source) {
  Config config{};
  Reader(tree, source).read(tree, config);
  return config;
}

// fields() is not const, so a copy is visited.
template <class Config>
Node tree_of(Config config) {
  return Writer::node_of(config);
}

}  // namespace moga::config_detail

namespace moga {

template <class Config>
Config parse_toml(const std::string& text, const std::string& source) {
  return config_detail::read_tree<Config>(config_detail::toml_tree(text, source), {source});
}

template <class Config>
Config load_toml(const std::filesystem::path& path) {
  return parse_toml<Config>(config_detail::read_config_text(path), path.string());
}

template <class Config>
Config parse_json(const std::string& text, const std::string& source, bool ignore_unknown) {
  return config_detail::read_tree<Config>(config_detail::json_tree(text, source), {source, ignore_unknown});
}

template <class Config>
Config load_json(const std::filesystem::path& path, bool ignore_unknown) {
  return parse_json<Config>(config_detail::read_config_text(path), path.string(), ignore_unknown);
}

template <class Config>
void apply_overrides(Config& config, const std::vector<std::string>& key_values, const std::string& source) {
  const config_detail::Node tree = config_detail::override_tree(key_values, source);
  const config_detail::Source named{source};
  Config changed = config;  // so that an error leaves the config unchanged
  config_detail::Reader(tree, named).read(tree, changed);
  config = std::move(changed);
}

template <class Config>
void apply_override(Config& config, const std::string& key_value) {
  apply_overrides(config, {key_value});
}

template <class Config>
std::string to_toml(const Config& config) {
  return config_detail::toml_text(config_detail::tree_of(config));
}

template <class Config>
std::string to_json(const Config& config) {
  return config_detail::json_text(config_detail::tree_of(config));
}

}  // namespace moga
