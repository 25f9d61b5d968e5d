// cpp-httplib's server with bounds: heads and bodies as request_head.h allows, a time for each, a number of
// connections.
//
// Every connection has a thread of its own while it is served; there are at most ServerLimits::threads, and further
// connections wait.
#pragma once

#include <httplib.h>

#include <chrono>

#include "moga/serve/request_head.h"

namespace moga {

struct ServerLimits {
  HeadLimits head = {};
  size_t threads = 256;
  int requests = 1000;                     // of one connection
  std::chrono::milliseconds idle{10'000};  // between two requests
  std::chrono::milliseconds head_time{10'000};
  std::chrono::milliseconds body_time{120'000};
  std::chrono::milliseconds write_time{30'000};  // without a byte taken by the client
};

class BoundedServer : public httplib::Server {
 public:
  explicit BoundedServer(ServerLimits limits = {});

  // Binds to host and port (0: any) and returns the port. Throws when that is not possible.
  int bind(const std::string& host, int port);

 private:
  bool process_and_close_socket(socket_t socket) override;
  bool serve_requests(class Connection& connection);

  ServerLimits limits_;
};

}  // namespace moga
