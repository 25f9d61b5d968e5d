#include "moga/serve/form_data.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "moga/serve/base64.h"
#include "tests/support/error.h"

namespace moga {
namespace {

constexpr const char* kType = "multipart/form-data; boundary=XyZ";

std::string field(const std::string& head, const std::string& content) {
  return "--XyZ\r\nContent-Disposition: form-data; " + head + "\r\n\r\n" + content + "\r\n";
}

TEST(FormData, FieldsAndFiles) {
  const std::string picture("\x89PNG\0\r\n--Xy", 11);
  const std::string body =
      field("name=\"prompt\"", "A lake\r\nby day") + field("name=\"seconds\"", "4") + field("name=\"empty\"", "") +
      field("name=\"input_reference\"; filename=\"a b.png\"\r\nContent-Type: image/png", picture) + "--XyZ--\r\n";
  for (const char* type : {kType, "multipart/form-data; charset=utf-8; boundary=\"XyZ\""}) {
    const auto fields = nlohmann::json::parse(json_of_form(type, body));
    EXPECT_EQ(fields.size(), 4);
    EXPECT_EQ(fields.at("prompt"), "A lake\r\nby day");
    EXPECT_EQ(fields.at("seconds"), "4");
    EXPECT_EQ(fields.at("empty"), "");
    EXPECT_EQ(picture_of(fields.at("input_reference").get<std::string>())->bytes, picture);
  }
}

TEST(FormData, RefusesWhatIsMalformed) {
  const std::string good = field("name=\"prompt\"", "a");
  const std::pair<std::string, const char*> cases[] = {
      {"", "does not start with its boundary"},
      {good, "a field does not end"},
      {good + good + "--XyZ--", "given twice"},
      {field("nom=\"prompt\"", "a") + "--XyZ--", "no name"},
      {field("name=\"prompt", "a") + "--XyZ--", "a quote is missing"},
      {"--XyZprompt\r\n\r\na\r\n--XyZ--", "a boundary is not a line"},
      {field("name=\"prompt\"; x=\"" + std::string(1 << 20, 'a') + "\"", "a") + "--XyZ--", "too long"}};
  for (const auto& [body, expected] : cases)
    EXPECT_NE(test::error_of([&] { json_of_form(kType, body); }).find(expected), std::string::npos)
        << body.substr(0, 200);
  EXPECT_NE(test::error_of([&] { json_of_form("multipart/form-data", good); }).find("no boundary"), std::string::npos);
}

}  // namespace
}  // namespace moga
