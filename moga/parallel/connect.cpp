// Store, then the group over it. A launcher on this machine hands rank 0 a socket that listens already
// (MOGA_STORE_FD), so that no other program can take the port in between.
#include "moga/parallel/connect.h"

#include <cmath>
#include <cstdlib>

#include "moga/parallel/group_state.h"

namespace moga {
namespace {

std::chrono::milliseconds milliseconds(const char* what, double seconds) {
  check(std::isfinite(seconds) && seconds > 0 && seconds < 1e9, what, " = ", seconds, ", expected seconds above 0");
  return std::chrono::milliseconds(static_cast<int64_t>(std::ceil(seconds * 1000)));
}

}  // namespace

ProcessGroup connect(const RankEnvironment& environment, const ConnectOptions& options) {
  if (environment.world == 1) return ProcessGroup();
  StoreRequest store;
  store.address = environment.master_address;
  store.port = environment.master_port;
  store.serve = environment.rank == 0;
  store.timeout = milliseconds("connect_seconds", options.connect_seconds);
  if (const char* listening = std::getenv("MOGA_STORE_FD"); listening && store.serve)
    store.listen_fd = std::atoi(listening);
  GroupRequest group;
  group.store = make_store(store);
  group.rank = environment.rank;
  group.size = environment.world;
  group.master_address = environment.master_address;
  group.timeout = milliseconds("collective_seconds", options.collective_seconds);
  group.cuda = options.device.is_cuda();
  return make_group(group);
}

void leave(const ProcessGroup& world, double seconds) {
  if (world.size() > 1) leave_store(world, world.rank() == 0, milliseconds("seconds", seconds));
}

}  // namespace moga
