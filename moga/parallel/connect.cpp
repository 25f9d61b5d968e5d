// Store, then the group over it. A launcher on this machine hands rank 0 a socket that listens already
// (MOGA_STORE_FD), so that no other program can take the port in between.
#include "moga/parallel/connect.h"

#include <c10/util/Logging.h>

#include <array>
#include <cmath>
#include <csignal>
#include <cstdlib>

#include "moga/core/interrupt.h"
#include "moga/parallel/group_state.h"

namespace moga {
namespace {

std::chrono::milliseconds milliseconds(const char* what, double seconds) {
  check(std::isfinite(seconds) && seconds > 0 && seconds < 1e9, what, " = ", seconds, ", expected seconds above 0");
  return std::chrono::milliseconds(static_cast<int64_t>(std::ceil(seconds * 1000)));
}

// c10d reports a lost rank with a backtrace from every other rank. It is silent unless the user asks for its log: the
// launcher says in one line what happened.
void quiet_c10d() {
  constexpr int kFatal = 3;
  if (!std::getenv("TORCH_CPP_LOG_LEVEL"))
    FLAGS_caffe2_log_level = kFatal;
  else
    c10::initLogging();
}

// While ranks connect, SIGTERM and SIGINT end this process at once: there is nothing to save yet, and a rank whose
// launcher died would wait for ranks that never come.
class EndAtOnce {
 public:
  EndAtOnce() {
    stop_if_interrupted();
    struct sigaction end {};
    end.sa_handler = SIG_DFL;
    for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &end, &before_[i]);
  }
  ~EndAtOnce() {
    for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before_[i], nullptr);
  }
  EndAtOnce(const EndAtOnce&) = delete;
  EndAtOnce& operator=(const EndAtOnce&) = delete;

 private:
  static constexpr std::array<int, 2> kSignals = {SIGTERM, SIGINT};
  std::array<struct sigaction, 2> before_{};
};

}  // namespace

ProcessGroup connect(const RankEnvironment& environment, const ConnectOptions& options) {
  if (environment.world == 1) return ProcessGroup();
  const EndAtOnce end_at_once;
  quiet_c10d();
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
