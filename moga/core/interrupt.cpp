// A flag set by SIGINT and SIGTERM; long loops check it between units of work.
#include "moga/core/interrupt.h"

#include <atomic>
#include <csignal>
#include <utility>

#include "moga/core/stop_scope.h"

namespace moga {
namespace {

std::atomic<bool> arrived{false};
thread_local bool may_stop_inside = false;
thread_local const std::atomic<bool>* stop_of_scope = nullptr;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

void on_signal(int signal) {
  if (arrived.exchange(true)) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);  // delivered when the handler returns, so that the exit status shows the signal
  }
}

}  // namespace

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;  // a read or write under way continues
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGXFSZ, SIG_IGN);
}

bool interrupted() { return arrived.load() || (stop_of_scope && stop_of_scope->load()); }

void stop_if_interrupted() {
  if (interrupted()) throw Interrupted();
}

StopInside::StopInside() : outer_(std::exchange(may_stop_inside, true)) {}

StopInside::~StopInside() { may_stop_inside = outer_; }

void stop_inside_if_interrupted() {
  if (may_stop_inside) stop_if_interrupted();
}

StopScope::StopScope(const std::atomic<bool>& stop) : outer_(std::exchange(stop_of_scope, &stop)) {}

StopScope::~StopScope() { stop_of_scope = outer_; }

void set_interrupted(bool value) { arrived.store(value); }

}  // namespace moga
