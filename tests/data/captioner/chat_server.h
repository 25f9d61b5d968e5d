// A server in the test's own process that answers POST /v1/chat/completions (cpp-httplib).
#pragma once

#include <httplib.h>
#include <nlohmann/json.hpp>

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace moga::test {

struct Asked {
  std::string authorization, body;
};

struct Reply {
  int status = 200;
  std::string body;
  int retry_after = 0;
};

inline std::string chat_answer(const std::string& text, const std::string& finish = "stop") {
  return nlohmann::json{
      {"choices", {{{"message", {{"role", "assistant"}, {"content", text}}}, {"finish_reason", finish}}}}}
      .dump();
}

class ChatServer {
 public:
  // `answer` gets all requests so far, the current one last.
  explicit ChatServer(std::function<Reply(const std::vector<Asked>&)> answer) : answer_(std::move(answer)) {
    server_.Post("/v1/chat/completions", [this](const httplib::Request& request, httplib::Response& response) {
      std::vector<Asked> all;
      {
        const std::lock_guard lock(mutex_);
        asked_.push_back({request.get_header_value("Authorization"), request.body});
        all = asked_;
      }
      const Reply reply = answer_(all);
      response.status = reply.status;
      if (reply.retry_after > 0) response.set_header("Retry-After", std::to_string(reply.retry_after));
      response.set_content(reply.body, "application/json");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~ChatServer() {
    server_.stop();
    thread_.join();
  }
  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1"; }
  std::vector<Asked> requests() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  std::function<Reply(const std::vector<Asked>&)> answer_;
  mutable std::mutex mutex_;
  std::vector<Asked> asked_;
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace moga::test
