// See wait_time.h. A mark is a moment of the device's stream (an event) or of the host's clock.
#include "moga/parallel/wait_time.h"

#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <chrono>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "moga/core/check.h"

namespace moga {
namespace {

using Clock = std::chrono::steady_clock;

class Mark {
 public:
  explicit Mark(c10::Device device) : host_(Clock::now()) {
    if (device.is_cpu()) return;
    event_.emplace(device.type(), c10::EventFlag::BACKEND_DEFAULT);  // the default flag makes events without a time
    event_->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  }
  double seconds_to(const Mark& later) const {
    if (!event_) return std::chrono::duration<double>(later.host_ - host_).count();
    later.event_->synchronize();
    return event_->elapsedTime(*later.event_) * 1e-3;
  }

 private:
  Clock::time_point host_;
  std::optional<c10::Event> event_;
};

}  // namespace

struct WaitTime::State {
  explicit State(c10::Device device) : device(device), begin(device) {}
  const c10::Device device;
  const Mark begin;
  std::optional<Mark> end;
  std::mutex mutex;
  std::vector<std::pair<Mark, Mark>> waits;
};

namespace {

// Backward passes issue collectives from autograd's threads.
std::mutex current_mutex;
std::shared_ptr<WaitTime::State> current;

std::shared_ptr<WaitTime::State> counting(c10::Device device) {
  const std::lock_guard lock(current_mutex);
  return current && current->device.type() == device.type() ? current : nullptr;
}

}  // namespace

struct WaitTime::Wait::Begin {
  std::shared_ptr<State> state;
  Mark mark;
};

WaitTime::WaitTime(c10::Device device) : state_(std::make_shared<State>(device)) {
  const std::lock_guard lock(current_mutex);
  check(!current, "the time that ranks wait is counted already");
  current = state_;
}

WaitTime::~WaitTime() { stop(); }

void WaitTime::stop() {
  const std::lock_guard lock(current_mutex);
  if (current != state_) return;
  current = nullptr;
  state_->end.emplace(state_->device);
}

StepTime WaitTime::seconds() {
  stop();
  const std::lock_guard lock(state_->mutex);
  StepTime time{.seconds = state_->begin.seconds_to(*state_->end)};
  for (const auto& [begin, end] : state_->waits) time.waited += begin.seconds_to(end);
  return time;
}

WaitTime::Wait::Wait(c10::Device device) {
  if (auto state = counting(device)) begin_ = std::make_unique<Begin>(Begin{state, Mark(state->device)});
}

WaitTime::Wait::~Wait() {
  if (!begin_) return;
  Mark end(begin_->state->device);
  const std::lock_guard lock(begin_->state->mutex);
  begin_->state->waits.emplace_back(std::move(begin_->mark), std::move(end));
}

}  // namespace moga
