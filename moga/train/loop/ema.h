// Exponential moving average of the weights: s ← s + (1 - d)(w - s), one fused operation over all parameters. Early on
// d is (1 + n) / (10 + n), so that the average forgets the random start.
#pragma once

#include "moga/train/loop/parameters.h"

namespace moga {

class Ema {
 public:
  Ema(const NamedTensors& parameters, double decay);  // begins as a copy of the parameters

  void update(int64_t step);  // step: updates before this one

  const NamedTensors& weights() const { return average_; }

  // Exchanges the averages with the parameters themselves; nothing is copied. See EmaScope.
  void swap();

 private:
  NamedTensors parameters_;
  NamedTensors average_;
  double decay_;
};

// Inside its scope the modules compute with the averaged weights.
class EmaScope {
 public:
  explicit EmaScope(Ema& ema) : ema_(ema) { ema_.swap(); }
  ~EmaScope() { ema_.swap(); }
  EmaScope(const EmaScope&) = delete;
  EmaScope& operator=(const EmaScope&) = delete;

 private:
  Ema& ema_;
};

}  // namespace moga
