// Server-sent events: from the queue to the end, with previews, for several clients, and after a cancel.
#include "moga/serve/events.h"

#include <gtest/gtest.h>

#include "tests/serve/server_cases.h"

namespace moga {
namespace {

using test::TestServer;
using test::Working;

std::string events_of(const TestServer& server, const std::string& id) {
  const auto result = server.client().Get("/v1/videos/" + id + "/events");
  return result ? result->body : "no answer";
}

// Names of the events, each once for those that follow each other.
std::string names(const std::string& events) {
  std::string all, last;
  for (size_t at = 0; (at = events.find("event: ", at)) != std::string::npos; ++at) {
    const std::string name = events.substr(at + 7, events.find('\n', at) - at - 7);
    if (name != last) all += (all.empty() ? "" : " ") + name;
    last = name;
  }
  return all;
}

TEST(Events, FromTheQueueToTheEnd) {
  TestServer server;
  const std::string id = server.submitted("slow");
  std::string events;
  std::thread client([&] { events = events_of(server, id); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  {
    const Working working(server.queue);
    ASSERT_TRUE(test::soon([&] { return server.queue.find(id)->progress.previews == 1; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    server.queue.remove(id);
    client.join();
  }
  EXPECT_EQ(names(events), "queued progress preview cancelled") << events;
  EXPECT_NE(events.find("\"done\":1,\"name\":\"denoise\",\"per_second\":2.0,\"seconds_left\":1.5,\"total\":4"),
            std::string::npos)
      << events;
  EXPECT_NE(events.find("\"url\":\"/v1/videos/" + id + "/preview\""), std::string::npos) << events;
  EXPECT_EQ(names(events_of(server, id)).substr(0, 9), "cancelled");  // a late client hears how it ended
}

TEST(Events, OfAJobThatIsRemovedOrUnknown) {
  TestServer server;
  const std::string id = server.submitted();
  std::string events;
  std::thread client([&] { events = events_of(server, id); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  server.queue.remove(id);
  client.join();
  EXPECT_EQ(names(events), "queued cancelled") << events;
  server.queue.remove(id);
  EXPECT_NE(events_of(server, id).find("there is no video"), std::string::npos);
}

TEST(Events, EndWithTheServer) {
  auto server = std::make_unique<TestServer>();
  const std::string id = server->submitted();
  std::string events;
  std::thread client([&] { events = events_of(*server, id); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto start = std::chrono::steady_clock::now();
  server->queue.close();
  client.join();
  server.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_EQ(names(events), "queued");
}

}  // namespace
}  // namespace moga
