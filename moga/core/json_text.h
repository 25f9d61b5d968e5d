// JSON objects from files that may be damaged or hostile: one line on error, bounded nesting, duplicate keys refused.
// Time and memory are linear in the text.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace moga {

// Of objects and lists in JSON, of tables and dotted keys in TOML: the bound of serde_json, which reads safetensors.
inline constexpr size_t kDeepestNesting = 127;

// `source`: the name used in messages. Throws on malformed text, on a key that an object has twice, on nesting beyond
// kDeepestNesting, and when the text is not an object.
nlohmann::json parse_json_object(std::string_view text, const std::string& source);

// The member `key` of an object as a whole number (2.0 is one) from `least` on, or as a string. Throws one line with
// source, key, what was found and what was expected.
int64_t whole_number(const nlohmann::json& object, const std::string& key, int64_t least, const std::string& source);
std::string text_member(const nlohmann::json& object, const std::string& key, const std::string& source);
double number_member(const nlohmann::json& object, const std::string& key, const std::string& source);

// The parser's message about malformed text, without its internal error number.
std::string reason(const nlohmann::json::exception& error);

// A quoted string, on one line whatever it contains.
std::string quoted(const std::string& text);

// `text` for a terminal: control characters and bytes that are not UTF-8 become \x1b and the like. Newlines stay.
std::string printable(std::string_view text);

}  // namespace moga
