#include "moga/serve/access.h"

#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "moga/serve/api_error.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

constexpr const char* kToken = "0123456789abcdef";

bool lets_in(const Access& access, const RequestSource& source) {
  try {
    access.check_source(source);
    access.check_token(source);
    return true;
  } catch (const ApiError&) {
    return false;
  }
}

TEST(Access, ATokenIsNeededWhereThereIsOne) {
  const Access access(kToken);
  const auto with = [&](const std::string& header) {
    return lets_in(access, {header, "moga.example", "https://a.example"});
  };
  EXPECT_TRUE(with("Bearer 0123456789abcdef"));
  for (const char* header :
       {"", "Bearer ", "Bearer 0123456789abcdeF", "Bearer 0123456789abcde", "0123456789abcdef",
        "Bearer 0123456789abcdef0", "Bearer 0123456789abcdef0123456789abcdef", "Basic 0123456789abcdef"})
    EXPECT_FALSE(with(header)) << header;
}

TEST(Access, WithoutATokenOnlyThisMachineAndItsPage) {
  const Access access("");
  for (const char* host : {"localhost:8080", "127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "[::1]"})
    EXPECT_TRUE(lets_in(access, {"", host, ""})) << host;
  for (const char* host : {"", "moga.example", "moga.example:8080", "[::2]:1", "localhost.example", "[", "0.0.0.0"})
    EXPECT_FALSE(lets_in(access, {"", host, ""})) << host;
  EXPECT_TRUE(lets_in(access, {"", "localhost:8080", "http://localhost:8080"}));
  for (const char* origin : {"http://localhost:9", "https://localhost:8080", "http://moga.example", "null"})
    EXPECT_FALSE(lets_in(access, {"", "localhost:8080", origin})) << origin;
}

TEST(Access, TokensAreOneLine) {
  const test::Folder folder;
  write_text(folder / "good", std::string(kToken) + "\n");
  EXPECT_EQ(load_token(folder / "good"), kToken);
  write_text(folder / "short", "secret\n");
  const std::string shortness = test::error_of([&] { load_token(folder / "short"); });
  EXPECT_NE(shortness.find("the token has 6 characters, expected 16 to 512"), std::string::npos) << shortness;
  EXPECT_EQ(shortness.find("secret"), std::string::npos);
  write_text(folder / "two", "0123456789abcdef\n0123456789abcdef\n");
  EXPECT_NE(test::error_of([&] { load_token(folder / "two"); }).find("one line"), std::string::npos);
}

TEST(Access, KnowsLoopbackAddresses) {
  for (const char* host : {"localhost", "127.0.0.1", "127.1.2.3", "::1"}) EXPECT_TRUE(is_loopback(host)) << host;
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "moga.example", ""}) EXPECT_FALSE(is_loopback(host)) << host;
}

}  // namespace
}  // namespace moga
