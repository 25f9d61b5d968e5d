// The vectors of RFC 4648, and bytes that are no text.
#include "moga/core/base64.h"

#include <gtest/gtest.h>

namespace moga {
namespace {

TEST(Base64, EncodesTheVectorsOfItsStandard) {
  const char* expected[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
  for (size_t length = 0; length < 7; ++length)
    EXPECT_EQ(base64(std::string_view("foobar").substr(0, length)), expected[length]);
  EXPECT_EQ(base64(std::string_view("\0\xff\xfe\x80", 4)), "AP/+gA==");
}

}  // namespace
}  // namespace moga
