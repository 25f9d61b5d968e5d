// ProgressWatch: passes on what the progress lines of this thread show (log.h), whether or not they are printed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace moga {

struct ProgressState {
  std::string label, unit;      // "denoise", "step"
  int64_t done = 0, total = 0;  // total 0: unknown
  double seconds_per_unit = 0;  // 0: unknown
};

class ProgressWatch {
 public:
  // Calls `see` on this thread when a progress line begins and whenever it advances, until this object ends.
  explicit ProgressWatch(std::function<void(const ProgressState&)> see);
  ~ProgressWatch();
  ProgressWatch(const ProgressWatch&) = delete;
  ProgressWatch& operator=(const ProgressWatch&) = delete;

  void see(const ProgressState& state) const { see_(state); }

 private:
  std::function<void(const ProgressState&)> see_;
  const ProgressWatch* outer_;
};

}  // namespace moga
