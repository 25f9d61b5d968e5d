#include "moga/serve/bounded_server.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "moga/core/check.h"
#include "moga/serve/connection.h"
#include "moga/serve/thread_queue.h"

namespace moga {

BoundedServer::BoundedServer(ServerLimits limits) : limits_(limits) {
  new_task_queue = [threads = limits.threads]() -> httplib::TaskQueue* { return new ThreadQueue(threads); };
  set_payload_max_length(limits.head.body);
  set_tcp_nodelay(true);
  // The library's own would let a second server share the port without a word.
  set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
}

int BoundedServer::bind(const std::string& host, int port) {
  errno = 0;
  const int bound = port == 0 ? bind_to_any_port(host) : bind_to_port(host, port) ? port : -1;
  const std::string reason = errno != 0 ? std::string(": ") + std::strerror(errno) : "";
  check(bound > 0, "cannot listen on ", host, " port ", port, reason);
  ::listen(svr_sock_, SOMAXCONN);  // the library's backlog is 5
  return bound;
}

bool BoundedServer::process_and_close_socket(socket_t socket) {
  bool served = false;
  {
    Connection connection(socket, limits_, svr_sock_);
    try {
      served = serve_requests(connection);
    } catch (const ApiError& error) {
      connection.answer(error);
    } catch (const std::exception& error) {
      connection.answer(ApiError(500, "server_error", "the server could not answer"));
    }
    connection.finish();
  }
  close(socket);
  return served;
}

bool BoundedServer::serve_requests(Connection& connection) {
  for (int left = limits_.requests; left > 0; --left) {
    if (!connection.next_request()) return true;
    bool closed = false;
    if (!process_request(connection, left == 1, closed, nullptr)) return false;
    if (closed || connection.unread_body()) return true;
  }
  return true;
}

}  // namespace moga
