// One client's connection, as the library reads and writes it: the heads are read and checked here, the body ends where
// its length says, and everything has a time limit.
#pragma once

#include <httplib.h>

#include <atomic>
#include <chrono>
#include <string>

#include "moga/serve/bounded_server.h"

namespace moga {

class Connection : public httplib::Stream {
 public:
  // Does not own `socket`. `server`: the listening socket; INVALID_SOCKET once the server stops.
  Connection(socket_t socket, const ServerLimits& limits, const std::atomic<socket_t>& server);

  // Reads the next head. False when the client has gone, is silent, or the server stops; throws ApiError.
  bool next_request();
  bool unread_body() const { return body_left_ > 0; }
  void answer(const ApiError& error);  // and no further request
  void finish();                       // lets the client read what was written before the socket is closed

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* to, size_t size) override;
  ssize_t write(const char* from, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  using Clock = std::chrono::steady_clock;
  bool wait(short events, Clock::time_point until) const;  // false: no such event until then, or the server stops
  ssize_t receive(char* to, size_t size, Clock::time_point until);

  socket_t socket_;
  const ServerLimits& limits_;
  const std::atomic<socket_t>& server_;
  std::string received_;  // behind what was read
  std::string head_;
  size_t head_read_ = 0;
  uint64_t body_left_ = 0;
  Clock::time_point body_until_{};
};

}  // namespace moga
