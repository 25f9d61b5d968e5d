// c10d's TCP store, at which the ranks meet. Rank 0 serves it.
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "moga/core/check.h"
#include "moga/parallel/group_state.h"

namespace moga {

c10d::Store* make_store(const StoreRequest& request) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(request.port);
  options.isServer = request.serve;
  options.waitWorkers = false;  // the groups wait for their members
  options.timeout = request.timeout;
  if (request.listen_fd >= 0) options.masterListenFd = request.listen_fd;
  try {
    return c10::make_intrusive<c10d::TCPStore>(request.address, options).release();
  } catch (const std::exception& error) {
    const std::string text = error.what();
    const std::string where = request.address + ":" + std::to_string(request.port);
    const std::string reason = text.substr(0, text.find('\n'));
    if (request.serve) fail("the store cannot be served at ", where, ": ", reason);
    throw PeerFailure("rank 0's store at " + where + " cannot be reached within " +
                      std::to_string(request.timeout.count() / 1000) + " s: " + reason);
  }
}

}  // namespace moga
