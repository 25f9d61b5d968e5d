// Ctrl-C and SIGTERM ask long work to end cleanly: it finishes the current unit of work, saves, and returns.
#pragma once

#include "moga/core/check.h"

namespace moga {

// Installs the handlers. A second signal ends the process at once. If a file would exceed the process's size limit, its
// write fails with an error, which removes the temporary file; without this, a signal would end the process.
void catch_interrupts();

// True once a signal has arrived.
bool interrupted();

// Thrown by long work that ends because a signal arrived. Nothing half-written remains.
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
void stop_inside_if_interrupted();  // does not synchronise with a device

// For tests: sets or clears the flag as if a signal had arrived.
void set_interrupted(bool value);

}  // namespace moga
