// Data inside a page cannot end the script that holds it.
#include "moga/core/html_page.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/error.h"

namespace moga {
namespace {

TEST(HtmlPage, HoldsTextThatLooksLikeMarkup) {
  const nlohmann::json data = {{"caption", "</script><b>\xff"}};
  const std::string page = page_with_data("<script>\"here\"</script>", "\"here\"", data);
  EXPECT_EQ(page, "<script>{\"caption\":\"\\u003c/script>\\u003cb>\xef\xbf\xbd\"}</script>");
  const std::string inside = page.substr(8, page.size() - 8 - 9);
  EXPECT_EQ(nlohmann::json::parse(inside).at("caption"), "</script><b>\xef\xbf\xbd");
}

TEST(HtmlPage, NeedsAPlaceForItsData) {
  EXPECT_EQ(test::error_of([] { page_with_data("<p>", "\"here\"", nlohmann::json(1)); }),
            "the page has no place for its data");
}

}  // namespace
}  // namespace moga
