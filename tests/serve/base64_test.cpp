#include "moga/serve/base64.h"

#include <gtest/gtest.h>

#include <cstring>

namespace moga {
namespace {

TEST(Base64, ReadsTheExamplesOfItsStandard) {
  const std::pair<const char*, const char*> examples[] = {{"", ""},
                                                          {"Zg==", "f"},
                                                          {"Zm8=", "fo"},
                                                          {"Zm9v", "foo"},
                                                          {"Zm9vYg==", "foob"},
                                                          {"Zm9vYmE=", "fooba"},
                                                          {"+/8A", "\xfb\xff"}};
  for (const auto& [text, bytes] : examples)
    EXPECT_EQ(from_base64(text), std::string(bytes, std::string_view(text) == "+/8A" ? 3 : std::strlen(bytes))) << text;
}

TEST(Base64, RefusesEverythingElse) {
  for (const char* text : {"Z", "Zg", "Zg=", "Zg=a", "Zh==", "Zm9=", "====", "Zg== ", "Zm9v\n", "Z-9v", "Zg==Zg=="})
    EXPECT_FALSE(from_base64(text)) << text;
}

TEST(Base64, PicturesAreDataUrls) {
  EXPECT_EQ(picture_of("data:image/png;base64,Zm9v")->bytes, "foo");
  EXPECT_EQ(picture_of("data:image/png;base64,Zm9v")->extension, ".png");
  EXPECT_EQ(picture_of("data:image/jpeg;base64,Zm9v")->extension, ".jpg");
  for (const char* text : {"", "/etc/passwd", "data:image/png;base64,", "data:image/png;base64,Z",
                           "data:image/gif;base64,Zm9v", "data:text/html;base64,Zm9v", "http://x/y.png"})
    EXPECT_FALSE(picture_of(text)) << text;
}

}  // namespace
}  // namespace moga
