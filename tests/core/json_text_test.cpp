// JSON of unknown origin: exact values, one line on error, and text that a terminal shows as text.
#include "moga/core/json_text.h"

#include <gtest/gtest.h>

#include "tests/support/error.h"

namespace moga {
namespace {

using nlohmann::json;

TEST(JsonText, ValuesAreThoseOfThePlainParser) {
  const std::string text =
      R"({"a": [1, -2, 3.5, true, null, "x\u00e9", [], {}], "b": {"c": {"d": [[1], {"e": 2}]}}, "f": 18446744073709551615})";
  EXPECT_EQ(parse_json_object(text, "x.json"), json::parse(text));
}

TEST(JsonText, KeysMayRepeatInDifferentObjectsOnly) {
  EXPECT_NO_THROW(parse_json_object(R"({"a": {"a": 1}, "b": {"a": 1}})", "x.json"));
  EXPECT_EQ(test::error_of([] { parse_json_object(R"({"b": {"a": 1, "c": {}, "a": 1}})", "x.json"); }),
            "x.json: \"a\" occurs twice");
}

TEST(JsonText, MembersOfTheWrongTypeAreNamed) {
  const json object = {{"heads", "5"}, {"dim", 0}, {"layers", 2.0}, {"half", 0.5}, {"name", {"a"}}};
  const auto error = [&](const char* key) { return test::error_of([&] { whole_number(object, key, 1, "x.json"); }); };
  EXPECT_EQ(error("heads"), "x.json: heads: expected a whole number from 1 on, found \"5\"");
  EXPECT_EQ(error("dim"), "x.json: dim: expected a whole number from 1 on, found 0");
  EXPECT_EQ(error("half"), "x.json: half: expected a whole number from 1 on, found 0.5");
  EXPECT_EQ(error("none"), "x.json: none is missing, expected a whole number from 1 on");
  EXPECT_EQ(whole_number(object, "layers", 1, "x.json"), 2);
  EXPECT_EQ(test::error_of([&] { text_member(object, "name", "x.json"); }),
            "x.json: name: expected a string, found array");
  EXPECT_EQ(test::error_of([&] { number_member(object, "heads", "x.json"); }),
            "x.json: heads: expected a number, found \"5\"");
}

TEST(JsonText, ControlCharactersAreShownAsCodes) {
  EXPECT_EQ(printable("a\x1b[31mb\r\x7f\n\xc2\x9b\xff caf\u00e9 \u65e5"),
            "a\\x1b[31mb\\x0d\\x7f\n\\xc2\\x9b\\xff caf\u00e9 \u65e5");
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");
}

}  // namespace
}  // namespace moga
