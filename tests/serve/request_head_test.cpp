// Heads of requests: what passes, what is refused and with which status, and ranges of files.
#include "moga/serve/request_head.h"

#include <gtest/gtest.h>

namespace moga {
namespace {

int status_of(const std::string& head) {
  try {
    read_head(head, {});
    return 0;
  } catch (const ApiError& error) {
    return error.status();
  }
}

TEST(RequestHead, PassesWhatClientsSend) {
  const RequestHead head = read_head(
      "POST /v1/videos?x=%20 HTTP/1.1\r\nHost: a:1\r\nContent-Length:  12 \r\nRange: bytes=0-1\r\nMoga-Range: "
      "bytes=9-\r\n\r\n",
      {});
  EXPECT_EQ(head.body_bytes, 12);
  EXPECT_EQ(head.text,
            "POST /v1/videos?x=%20 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 12\r\nMoga-Range: bytes=0-1\r\n\r\n");
  EXPECT_EQ(status_of("GET / HTTP/1.0\r\n\r\n"), 0);
  EXPECT_EQ(status_of("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n"), 0);
}

TEST(RequestHead, RefusesWhatCannotBeServedSafely) {
  const std::pair<int, std::string> cases[] = {
      {400, "GET /\r\n\r\n"},
      {400, "GET  / HTTP/1.1\r\n\r\n"},
      {400, "GET / HTTP/1.1 x\r\n\r\n"},
      {400, "GET http://a/ HTTP/1.1\r\n\r\n"},
      {505, "GET / HTTP/2\r\n\r\n"},
      {400, std::string("GET /\0 HTTP/1.1\r\n\r\n", 19)},
      {400, "GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nno colon\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n A: folded\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nA : b\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n"},
      {411, "POST / HTTP/1.1\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n"},
      {413, "POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"},
      {501, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {415, "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Encoding: gzip\r\n\r\n"},
      {417, "POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: tea\r\n\r\n"},
      {414, "GET /" + std::string(2000, 'a') + " HTTP/1.1\r\n\r\n"}};
  for (const auto& [status, head] : cases) EXPECT_EQ(status_of(head), status) << head;
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 65; ++i) many += "A: b\r\n";
  EXPECT_EQ(status_of(many + "\r\n"), 431);
}

TEST(RequestHead, RangesAreWithinTheFile) {
  const auto text = [](const char* range) {
    try {
      const ByteRange bytes = byte_range(range, 100);
      return std::to_string(bytes.begin) + "-" + std::to_string(bytes.end) + (bytes.partial ? "" : " whole");
    } catch (const ApiError& error) {
      return std::to_string(error.status());
    }
  };
  const std::pair<const char*, const char*> cases[] = {{"bytes=0-0", "0-1"},
                                                       {"bytes=10-19", "10-20"},
                                                       {"bytes=90-", "90-100"},
                                                       {"bytes=-10", "90-100"},
                                                       {"bytes=-1000", "0-100"},
                                                       {"bytes=50-999", "50-100"},
                                                       {"bytes=100-", "416"},
                                                       {"bytes=-0", "416"},
                                                       {"", "0-100 whole"},
                                                       {"bytes=-", "0-100 whole"},
                                                       {"bytes=5-2", "0-100 whole"},
                                                       {"bytes=0-1,3-4", "0-100 whole"},
                                                       {"bytes=a-b", "0-100 whole"},
                                                       {"lines=0-1", "0-100 whole"},
                                                       {"bytes=0-18446744073709551615", "0-100"},
                                                       {"bytes=18446744073709551615-", "416"},
                                                       {"bytes=99999999999999999999-", "0-100 whole"}};
  for (const auto& [range, expected] : cases) EXPECT_EQ(text(range), expected) << range;
}

}  // namespace
}  // namespace moga
