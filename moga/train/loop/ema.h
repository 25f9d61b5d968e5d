// Exponential moving average of the weights: s ← s + (1 - d)(w - s), in float32. Early on d is (1 + n) / (10 + n), so
// that the average forgets the random start.
//
// The average lives on the device, or in host memory when the device has no room for it. Then each step's weights are
// copied to the host while the next step is computed and averaged there; the host runs at most one step ahead.
#pragma once

#include <memory>

#include "moga/core/choice.h"
#include "moga/train/loop/parameters.h"

namespace moga {

enum class EmaPlace { kDevice, kHost };
template <>
inline constexpr auto kChoices<EmaPlace> = std::array{
    Choice{EmaPlace::kDevice, "device", "next to the weights"},
    Choice{EmaPlace::kHost, "host", "in host memory"},
};

class Ema {
 public:
  // Starts as a copy of the masters (parameters.h). A decay of 0: no average, the weights themselves take its place.
  Ema(const NamedTensors& parameters, const NamedTensors& masters, double decay, EmaPlace place);
  Ema(const NamedTensors& parameters, double decay) : Ema(parameters, parameters, decay, EmaPlace::kDevice) {}
  ~Ema();
  Ema(const Ema&) = delete;
  Ema& operator=(const Ema&) = delete;

  void update(int64_t step);  // step: updates before this one

  const NamedTensors& weights() const;  // empty without an average

  // The parameters take the values of the averages until leave(). See EmaScope.
  void enter();
  void leave();

 private:
  struct Staged;  // the copy of the last step's weights on its way to the host
  void settle() const;
  bool exchanged(size_t i) const;  // whether parameter and average change places, without a copy

  NamedTensors parameters_, masters_;
  mutable NamedTensors average_;
  std::vector<at::Tensor> kept_;  // in host memory, inside a scope: parameters that are their own masters
  double decay_;
  std::unique_ptr<Staged> staged_;
};

// Inside its scope the modules compute with the averaged weights.
class EmaScope {
 public:
  explicit EmaScope(Ema& ema) : ema_(ema) { ema_.enter(); }
  ~EmaScope() { ema_.leave(); }
  EmaScope(const EmaScope&) = delete;
  EmaScope& operator=(const EmaScope&) = delete;

 private:
  Ema& ema_;
};

}  // namespace moga
