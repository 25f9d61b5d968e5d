// Bounds of the server: malformed requests, slow clients, many clients.
//
// 400 malformed requests by default; MOGA_REQUESTS=10000 for more, MOGA_REQUEST_SEED for others.
#include "moga/serve/bounded_server.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "tests/serve/server_cases.h"

namespace moga {
namespace {

using test::TestServer;

int64_t number_of(const char* variable, int64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::stoll(text) : otherwise;
}

std::string valid_request(std::mt19937_64& random, const std::string& id) {
  const std::string body = R"({"title": "T", "size": [48, 32], "shot": [{"caption": "Mara waves.", "frames": 9}]})";
  const std::string host = " HTTP/1.1\r\nHost: 127.0.0.1\r\n", path = "/v1/videos/" + id;
  const std::string requests[] = {
      "POST /v1/videos" + host + "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
          "\r\n\r\n" + body,
      "GET " + path + "/content?variant=video" + host + "Range: bytes=0-9\r\n\r\n",
      "GET /v1/videos?limit=3&order=asc" + host + "Accept: text/html\r\n\r\n",
      "DELETE " + path + host + "Content-Length: 0\r\n\r\n",
      "POST /v1/videos" + host +
          "Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 79\r\n\r\n--B\r\nContent-Disposition: "
          "form-data; name=\"prompt\"\r\n\r\na film of a lake\r\n--B--",
      "GET " + path + host + "Connection: keep-alive\r\nIf-None-Match: \"x\"\r\n\r\nGET /health" + host + "\r\n"};
  return requests[random() % std::size(requests)];
}

// Changes, removes, repeats or inserts some bytes.
std::string mutated(std::string text, std::mt19937_64& random) {
  static const std::string pieces[] = {"\r\n",
                                       "\n",
                                       "\r",
                                       " ",
                                       "%00",
                                       "%",
                                       "/",
                                       "..",
                                       "\"",
                                       "{",
                                       "[[[[",
                                       ":",
                                       ",",
                                       "-",
                                       "99999999999999999999",
                                       std::string(1, '\0'),
                                       "\xff\xfe",
                                       "Content-Length: 3\r\n",
                                       "Transfer-Encoding: chunked\r\n",
                                       "Expect: 100-continue\r\n",
                                       "Range: bytes=5-1,-\r\n",
                                       "HTTP/1.1",
                                       std::string(3000, 'A'),
                                       "?a=b&&=&a",
                                       "#"};
  for (uint64_t changes = 1 + random() % 4; changes > 0 && !text.empty(); --changes) {
    const size_t at = random() % text.size(), length = std::min<size_t>(text.size() - at, 1 + random() % 20);
    switch (random() % 5) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        text.insert(at, text.substr(at, length));
        break;
      case 3:
        text.insert(at, pieces[random() % std::size(pieces)]);
        break;
      default:
        text.resize(at + 1);
    }
  }
  return text;
}

TEST(BoundedServer, SurvivesMalformedRequests) {
  ServerLimits limits;
  limits.idle = limits.head_time = limits.body_time = std::chrono::milliseconds(500);
  TestServer server("", limits, {50, 50});
  std::mt19937_64 random(number_of("MOGA_REQUEST_SEED", 1));
  const std::string id = server.submitted();
  std::map<std::string, int64_t> answers;
  for (int64_t i = number_of("MOGA_REQUESTS", 400); i > 0; --i) {
    const std::string request = mutated(valid_request(random, id), random), answer = server.raw(request);
    const std::string status = answer.substr(0, answer.find("\r\n"));
    ++answers[status.substr(0, 12)];
    EXPECT_TRUE(answer.empty() || status.starts_with("HTTP/1.1 ")) << request << "\n" << answer;
    const size_t body = answer.find("\r\n\r\n");
    if (status.starts_with("HTTP/1.1 4") && answer.find("HTTP/1.1 ", 9) == std::string::npos) {
      EXPECT_NE(answer.find("{\"error\":{\"code\":", body), std::string::npos) << request << "\n" << answer;
    }
    EXPECT_FALSE(status.starts_with("HTTP/1.1 500")) << request << "\n" << answer;
  }
  EXPECT_GT(answers.size(), 4);
  for (const auto& [answer, count] : answers)
    std::cout << (answer.empty() ? "no answer" : answer) << ": " << count << "\n";
  EXPECT_EQ(server.client().Get("/health")->status, 200);
}

TEST(BoundedServer, SlowClientsAreLeftAlone) {
  ServerLimits limits;
  limits.idle = limits.head_time = limits.body_time = std::chrono::milliseconds(200);
  TestServer server("", limits);
  EXPECT_EQ(server.raw("", false), "");
  EXPECT_NE(server.raw("GET /health HTTP/1.1\r\nHos", false).find("HTTP/1.1 408"), std::string::npos);
  const std::string short_body = server.raw(
      "POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
      false);
  EXPECT_NE(short_body.find("HTTP/1.1 400"), std::string::npos) << short_body;
  EXPECT_TRUE(server.queue.all().empty());
}

TEST(BoundedServer, HeadsAndBodiesAreBounded) {
  TestServer server;
  const std::string long_head = server.raw("GET / HTTP/1.1\r\nA: " + std::string(100'000, 'a'));
  EXPECT_NE(long_head.find("HTTP/1.1 431"), std::string::npos) << long_head;
  const std::string large =
      server.raw("POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n");
  EXPECT_NE(large.find("HTTP/1.1 413"), std::string::npos) << large;
  EXPECT_NE(large.find("expected at most 33554432"), std::string::npos) << large;
}

TEST(BoundedServer, OneConnectionServesSeveralRequests) {
  TestServer server;
  const std::string request = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    answers = server.raw(request + request + request);
  size_t count = 0;
  for (size_t at = 0; (at = answers.find("{\"status\":\"ok\"}", at)) != std::string::npos; ++at) ++count;
  EXPECT_EQ(count, 3);
}

TEST(BoundedServer, AUsedPortIsAnError) {
  TestServer server;
  BoundedServer second;
  EXPECT_THROW(second.bind("127.0.0.1", server.port), Error);
}

TEST(BoundedServer, ServesTwoHundredClientsAtOnce) {
  TestServer server("", {}, {500, 500});
  const test::Working working(server.queue);
  std::atomic<int> done{0}, listening{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 200; ++i)
    clients.emplace_back([&] {
      const std::string id = server.submitted("film"), path = "/v1/videos/" + id;
      const auto events = server.client().Get(path + "/events");
      if (events && events->body.find("event: completed") != std::string::npos) ++listening;
      if (server.client().Get(path + "/content")->body == "film") ++done;
    });
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(done, 200);
  EXPECT_EQ(listening, 200);
  EXPECT_EQ(server.queue.all().size(), 200);
}

}  // namespace
}  // namespace moga
