// Long texts in messages.
#include "moga/core/excerpt.h"

#include <gtest/gtest.h>

namespace moga {
namespace {

TEST(Excerpt, IsTheBeginningOfALongText) {
  EXPECT_EQ(excerpt(std::string(80, 'x')), std::string(80, 'x'));
  EXPECT_EQ(excerpt(std::string(81, 'x')), std::string(80, 'x') + "...");
  EXPECT_EQ(excerpt("abcdef", 3), "abc...");
}

TEST(Excerpt, HalvesNoCharacter) {
  EXPECT_EQ(excerpt("a\u00fc\u00fc", 2), "a...");
  EXPECT_EQ(excerpt("a\u00fc\u00fc", 3), "a\u00fc...");
}

TEST(Excerpt, OfAMessageIsThatOfItsLongWords) {
  const std::string path(511, 'p');  // 512 with its colon
  EXPECT_EQ(with_short_words(path + ": no such file"), path + ": no such file");
  EXPECT_EQ(with_short_words("setting '" + std::string(600, 's') + " of no part "),
            "setting '" + std::string(79, 's') + "... of no part ");
  EXPECT_EQ(with_short_words(""), "");
}

}  // namespace
}  // namespace moga
