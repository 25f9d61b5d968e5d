// StopScope: one part of a program ends alone, such as a job of a server that a user cancels.
//
// Inside the scope of one, interrupted() of this thread is also true once `stop` is, so that long work ends as after a
// signal (interrupt.h). Other threads see signals only.
#pragma once

#include <atomic>

namespace moga {

class StopScope {
 public:
  explicit StopScope(const std::atomic<bool>& stop);  // outlives the scope
  ~StopScope();
  StopScope(const StopScope&) = delete;
  StopScope& operator=(const StopScope&) = delete;

 private:
  const std::atomic<bool>* outer_;
};

}  // namespace moga
