// How long a rank waits for the others in collectives, during one train step: the rank that waits least is the slowest.
//
//   step = own work + waiting        all ranks of a step take equally long, and differ in how they spend it
//
// On a CPU this is the time that Pending::wait() blocks; on a GPU the time that the current stream is idle in it,
// between two events. The transfer itself counts as waiting. Events are read when seconds() is called, so that a
// measured step waits for its device no earlier than one that is not measured.
#pragma once

#include <c10/core/Device.h>

#include <memory>

namespace moga {

struct StepTime {
  double seconds = 0, waited = 0;
  double own() const { return seconds - waited; }
};

// Counts from its construction to stop(), over all threads. One at a time.
class WaitTime {
 public:
  // Collectives of tensors on another kind of device are not counted.
  explicit WaitTime(c10::Device device);
  ~WaitTime();
  WaitTime(const WaitTime&) = delete;
  WaitTime& operator=(const WaitTime&) = delete;

  void stop();
  StepTime seconds();  // after stop(); waits for the device

  // One wait in a collective of tensors on `device`, from construction to destruction. Free when nothing counts.
  class Wait {
   public:
    explicit Wait(c10::Device device);
    ~Wait();
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;

   private:
    struct Begin;
    std::unique_ptr<Begin> begin_;
  };

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace moga
