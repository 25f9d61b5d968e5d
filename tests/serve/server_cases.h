// A server with a stand-in worker for the tests of routes, events and bounds.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "moga/serve/bounded_server.h"
#include "moga/serve/routes.h"
#include "tests/serve/queue_cases.h"
#include "tests/support/folder.h"

namespace moga::test {

class TestServer {
 public:
  explicit TestServer(const std::string& token = "", ServerLimits limits = {}, QueueLimits queue_limits = {})
      : queue(folder.path(), queue_limits, "demo"), access(token), routes(queue, access, rules), server(limits) {
    rules.model = "demo";
    rules.size = {48, 32};
    routes.add_to(server);
    port = server.bind("127.0.0.1", 0);
    thread_ = std::thread([this] { server.listen_after_bind(); });
    soon([this] { return server.is_running(); });
  }
  ~TestServer() {
    queue.close();
    server.stop();
    thread_.join();
  }

  httplib::Client client() const {
    httplib::Client client("127.0.0.1", port);
    client.set_read_timeout(20);
    return client;
  }
  httplib::Result post(const nlohmann::json& body, const httplib::Headers& headers = {}) const {
    return client().Post("/v1/videos", headers, body.dump(), "application/json");
  }
  std::string submitted(const std::string& title = "T") const {
    const auto result = post({{"title", title}, {"shot", {{{"caption", "Mara waves."}, {"frames", 9}}}}});
    return nlohmann::json::parse(result->body).at("id");
  }
  // Sends bytes as they are, ends, and reads the answer. `ends`: whether the client says that it has finished.
  std::string raw(const std::string& bytes, bool ends = true) const {
    const int connection = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::string answer;
    if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
      send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (ends) shutdown(connection, SHUT_WR);
      char piece[4096];
      for (ssize_t count; (count = recv(connection, piece, sizeof piece, 0)) > 0;)
        answer.append(piece, static_cast<size_t>(count));
    }
    close(connection);
    return answer;
  }

  Folder folder;
  RequestRules rules;
  JobQueue queue;
  Access access;
  Routes routes;
  BoundedServer server;
  int port = 0;

 private:
  std::thread thread_;
};

}  // namespace moga::test
