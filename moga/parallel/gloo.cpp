// c10d's Gloo backend, for tensors on the CPU. It is part of libtorch_cpu; its headers need Debian's libgloo-dev.
// A file of its own, because c10d's headers take most of a minute to compile.
#define USE_C10D_GLOO
#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include <array>
#include <cstdlib>
#include <memory>

#include "moga/core/check.h"
#include "moga/parallel/group_state.h"

namespace moga {
namespace {

// This machine's address as `host` sees it: that of a datagram socket towards it, through which nothing is sent.
std::string address_towards(const std::string& host) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  const int error = getaddrinfo(host.c_str(), "9", &hints, &found);
  check(error == 0, "the master address '", host, "' cannot be resolved: ", gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  const int descriptor = socket(found->ai_family, SOCK_DGRAM, 0);
  sockaddr_storage own{};
  socklen_t length = sizeof own;
  const bool reached = descriptor >= 0 && connect(descriptor, found->ai_addr, found->ai_addrlen) == 0 &&
                       getsockname(descriptor, reinterpret_cast<sockaddr*>(&own), &length) == 0;
  if (descriptor >= 0) close(descriptor);
  check(reached, "the master address '", host, "' cannot be reached from this machine");
  std::array<char, NI_MAXHOST> text{};
  getnameinfo(reinterpret_cast<sockaddr*>(&own), length, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
  return text.data();
}

}  // namespace

c10d::Backend* make_gloo(const BackendRequest& request) {
  using c10d::ProcessGroupGloo;
  const auto options = ProcessGroupGloo::Options::create(request.timeout);
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");  // as PyTorch reads it
  options->devices.push_back(
      interface ? ProcessGroupGloo::createDeviceForInterface(interface)
                : ProcessGroupGloo::createDeviceForHostname(address_towards(request.master_address)));
  const auto store = c10::make_intrusive<c10d::PrefixStore>(
      request.name + "/gloo", c10::intrusive_ptr<c10d::Store>::reclaim_copy(request.store));
  return c10::make_intrusive<ProcessGroupGloo>(store, static_cast<int>(request.rank), static_cast<int>(request.size),
                                               options)
      .release();
}

}  // namespace moga
