// Strict parsing as a handler of nlohmann::json's events. Its own parser with a callback looks at all members of an
// object after each of them ends, which is quadratic, and without one it lets a later key overwrite an earlier one.
#include "moga/core/json_text.h"

#include <cmath>
#include <cstdio>
#include <vector>

#include "moga/core/check.h"

namespace moga {
namespace {

using nlohmann::json;

class StrictBuilder : public nlohmann::json_sax<json> {
 public:
  explicit StrictBuilder(const std::string& source) : source_(source) {}
  json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t& value) override { return add(std::move(value)); }
  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    const auto [place, added] = open_.back()->emplace(name, nullptr);
    if (!added) fail(source_, ": ", quoted(name), " occurs twice");
    member_ = &*place;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const json::exception& error) override {
    fail(source_, ": malformed JSON: ", printable(reason(error)));
  }

 private:
  // Where the value goes: the member whose key was read, the end of the open list, or the root.
  json& place(json value) {
    if (open_.empty()) return root_ = std::move(value);
    if (open_.back()->is_object()) return *member_ = std::move(value);
    open_.back()->push_back(std::move(value));
    return open_.back()->back();
  }
  bool add(json value) {
    place(std::move(value));
    return true;
  }
  bool open(json empty) {
    if (open_.size() >= kDeepestNesting) fail(source_, ": is nested more than ", kDeepestNesting, " deep");
    open_.push_back(&place(std::move(empty)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  const std::string& source_;
  json root_;
  std::vector<json*> open_;  // stable: a container does not grow while one of its values is open
  json* member_ = nullptr;
};

const json& member(const json& object, const std::string& key, const char* expected, const std::string& source) {
  const auto found = object.find(key);
  check(found != object.end(), source, ": ", key, " is missing, expected ", expected);
  return *found;
}

[[noreturn]] void wrong(const json& value, const std::string& key, const std::string& expected,
                        const std::string& source) {
  const std::string text = value.is_structured() ? value.type_name() : printable(value.dump());
  fail(source, ": ", key, ": expected ", expected, ", found ", text);
}

// Bytes of the well-formed UTF-8 character at `at`, 0 when there is none. Overlong forms are left to the terminal.
size_t character_bytes(std::string_view text, size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  const size_t bytes = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
  if (bytes == 0 || at + bytes > text.size()) return 0;
  for (size_t i = 1; i < bytes; ++i)
    if ((static_cast<unsigned char>(text[at + i]) & 0xC0) != 0x80) return 0;
  return bytes;
}

// C0 controls but newline and tab, DEL, and the C1 controls U+0080 to U+009F.
bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return (first < 0x20 && first != '\n' && first != '\t') || first == 0x7F;
  return first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
}

}  // namespace

std::string quoted(const std::string& text) { return json(text).dump(-1, ' ', false, json::error_handler_t::replace); }

std::string printable(std::string_view text) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = character_bytes(text, at), length = std::max<size_t>(bytes, 1);
    const std::string_view character = text.substr(at, length);
    at += length;
    if (bytes > 0 && !is_control(character)) {
      result += character;
      continue;
    }
    char code[8];
    for (const char byte : character) {
      std::snprintf(code, sizeof code, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(byte)));
      result += code;
    }
  }
  return result;
}

std::string reason(const json::exception& error) {
  const std::string text = error.what();  // "[json.exception.parse_error.101] parse error at line 1, …"
  const size_t end = text.find("] ");
  return text.starts_with("[json.") && end != std::string::npos ? text.substr(end + 2) : text;
}

json parse_json_object(std::string_view text, const std::string& source) {
  // The parser treats a zero byte as the end of the text, and skips a byte order mark.
  check(text.find('\0') == std::string_view::npos, source, ": malformed JSON: contains a zero byte");
  check(!text.starts_with("\xEF\xBB\xBF"), source, ": malformed JSON: begins with a byte order mark");
  StrictBuilder builder(source);
  json::sax_parse(text, &builder);
  json object = builder.take();
  check(object.is_object(), source, ": expected a JSON object, found ", object.type_name());
  return object;
}

int64_t whole_number(const json& object, const std::string& key, int64_t least, const std::string& source) {
  const std::string expected = "a whole number from " + std::to_string(least) + " on";
  const json& value = member(object, key, expected.c_str(), source);
  const double number = value.is_number() ? value.get<double>() : std::nan("");
  constexpr double kMost = 9007199254740992.0;  // 2^53: beyond it a double is not exact
  if (!(std::trunc(number) == number && number >= static_cast<double>(least) && number <= kMost))
    wrong(value, key, expected, source);
  return static_cast<int64_t>(number);
}

std::string text_member(const json& object, const std::string& key, const std::string& source) {
  const json& value = member(object, key, "a string", source);
  if (!value.is_string()) wrong(value, key, "a string", source);
  return value.get<std::string>();
}

double number_member(const json& object, const std::string& key, const std::string& source) {
  const json& value = member(object, key, "a number", source);
  if (!value.is_number()) wrong(value, key, "a number", source);
  return value.get<double>();
}

}  // namespace moga
