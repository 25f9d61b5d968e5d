#include "moga/serve/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace moga {
namespace {

constexpr std::chrono::milliseconds kSlice{100};  // between two looks at whether the server stops
constexpr size_t kPiece = 4096;
// After the last answer, what the client still sends is read for so long: closing at once would take the answer away.
constexpr std::chrono::milliseconds kLinger{1000};

using Clock = std::chrono::steady_clock;

void address(int (*get)(int, sockaddr*, socklen_t*), socket_t socket, std::string& ip, int& port) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (get(socket, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    port = ntohs(v4->sin_port);
  } else if (storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
    port = ntohs(v6->sin6_port);
  }
  ip = text.data();
}

}  // namespace

Connection::Connection(socket_t socket, const ServerLimits& limits, const std::atomic<socket_t>& server)
    : socket_(socket), limits_(limits), server_(server) {}

bool Connection::wait(short events, Clock::time_point until) const {
  while (server_ != INVALID_SOCKET) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0) return false;
    pollfd one{socket_, events, 0};
    const int found = poll(&one, 1, static_cast<int>(std::min(left, kSlice).count()));
    if (found > 0) return true;  // also when the client has gone: the next call says so
    if (found < 0 && errno != EINTR) return false;
  }
  return false;
}

// 0: the client has finished sending; −1: nothing came in time.
ssize_t Connection::receive(char* to, size_t size, Clock::time_point until) {
  if (!wait(POLLIN, until)) return -1;
  ssize_t count = 0;
  do count = recv(socket_, to, size, 0);
  while (count < 0 && errno == EINTR);
  return count;
}

bool Connection::next_request() {
  head_.clear();
  head_read_ = 0;
  const auto silent_until = Clock::now() + limits_.idle;
  auto until = silent_until;
  std::array<char, kPiece> piece;
  size_t end = 0;
  while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
    if (received_.size() > limits_.head.bytes) break;
    const ssize_t count = receive(piece.data(), piece.size(), until);
    if (count <= 0) {
      if (received_.empty() || count == 0 || server_ == INVALID_SOCKET) return false;
      throw ApiError(408, "timeout", "the head of the request did not arrive in time");
    }
    if (received_.empty()) until = Clock::now() + limits_.head_time;
    received_.append(piece.data(), static_cast<size_t>(count));
  }
  if (end == std::string::npos || end + 4 > limits_.head.bytes)
    throw ApiError(431, "bad_request", "the head has more than " + std::to_string(limits_.head.bytes) + " bytes");
  const std::string head = received_.substr(0, end + 4);
  received_.erase(0, end + 4);
  RequestHead read = read_head(head, limits_.head);
  head_ = std::move(read.text);
  body_left_ = read.body_bytes;
  body_until_ = Clock::now() + limits_.body_time;
  return true;
}

ssize_t Connection::read(char* to, size_t size) {
  if (head_read_ < head_.size()) {
    const size_t count = std::min(size, head_.size() - head_read_);
    std::memcpy(to, head_.data() + head_read_, count);
    head_read_ += count;
    return static_cast<ssize_t>(count);
  }
  size = static_cast<size_t>(std::min<uint64_t>(size, body_left_));
  if (size == 0) return 0;
  ssize_t count = 0;
  if (!received_.empty()) {
    count = static_cast<ssize_t>(std::min(size, received_.size()));
    std::memcpy(to, received_.data(), static_cast<size_t>(count));
    received_.erase(0, static_cast<size_t>(count));
  } else {
    count = receive(to, size, body_until_);
  }
  if (count > 0) body_left_ -= static_cast<uint64_t>(count);
  return count;
}

ssize_t Connection::write(const char* from, size_t size) {
  while (true) {
    pollfd one{socket_, POLLOUT, 0};
    const int found = poll(&one, 1, static_cast<int>(limits_.write_time.count()));
    if (found < 0 && errno == EINTR) continue;
    if (found <= 0) return -1;
    const ssize_t count = send(socket_, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0 || (errno != EINTR && errno != EAGAIN)) return count;
  }
}

void Connection::answer(const ApiError& error) {
  const std::string body = error.json();
  const std::string text = "HTTP/1.1 " + std::to_string(error.status()) +
                           " Error\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " +
                           std::to_string(body.size()) + "\r\n\r\n" + body;
  for (size_t at = 0; at < text.size();) {
    const ssize_t count = write(text.data() + at, text.size() - at);
    if (count <= 0) return;
    at += static_cast<size_t>(count);
  }
}

void Connection::finish() {
  shutdown(socket_, SHUT_WR);
  const auto until = Clock::now() + kLinger;
  std::array<char, kPiece> piece;
  while (receive(piece.data(), piece.size(), until) > 0) continue;
}

bool Connection::is_readable() const { return head_read_ < head_.size() || body_left_ > 0; }

// Whether the client is still there: one that has closed its side does not wait for events.
bool Connection::is_writable() const {
  pollfd one{socket_, POLLOUT | POLLRDHUP, 0};
  return poll(&one, 1, 0) > 0 && (one.revents & (POLLHUP | POLLERR | POLLRDHUP)) == 0;
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const { address(getpeername, socket_, ip, port); }

void Connection::get_local_ip_and_port(std::string& ip, int& port) const { address(getsockname, socket_, ip, port); }

}  // namespace moga
