// Ctrl-C and SIGTERM ask long work to end cleanly: it finishes its unit of work, saves, and returns.
#pragma once

#include "moga/core/check.h"

namespace moga {

// Installs the handlers. A second signal ends the process at once. A file that would exceed the process's size limit
// becomes an error of its write, which removes the temporary file, in place of a signal that ends the process.
void catch_interrupts();

// True once a signal has arrived.
bool interrupted();

// Thrown by long work that ends because a signal arrived; nothing half-written stays.
class Interrupted : public Error {
 public:
  Interrupted() : Error("interrupted") {}
};
void stop_if_interrupted();  // throws it

// Inside the scope of one, long evaluations of a model look at the signal between two of their layers, loading between
// two tensors, and end there. Elsewhere they run to their end: a train step is taken whole or not at all. For the
// thread that holds it.
class StopInside {
 public:
  StopInside();
  ~StopInside();
  StopInside(const StopInside&) = delete;
  StopInside& operator=(const StopInside&) = delete;

 private:
  bool outer_;
};
void stop_inside_if_interrupted();  // waits for no device

// For tests: as if a signal had arrived (or had not).
void set_interrupted(bool value);

}  // namespace moga
