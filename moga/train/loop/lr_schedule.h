// The learning rate of a train step: linear warm-up from 0 to the base rate, then constant or half a cosine down to a
// fraction of it. A function of the step alone, so a resumed run needs no state for it.
#pragma once

#include <cstdint>

#include "moga/core/choice.h"

namespace moga {

enum class LrKind { kConstant, kCosine };
template <>
inline constexpr auto kChoices<LrKind> = std::array{
    Choice{LrKind::kConstant, "constant", "the base rate after the warm-up"},
    Choice{LrKind::kCosine, "cosine", "half a cosine from the base rate to final_fraction of it"},
};

struct LrScheduleConfig {
  LrKind kind = LrKind::kConstant;
  int64_t warmup_steps = 200;
  double final_fraction = 0.1;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("kind", kind, "learning rate after the warm-up");
    field("warmup_steps", warmup_steps, "train steps of linear warm-up");
    field("final_fraction", final_fraction, "cosine: last learning rate over the first");
  }
};

// `step` in [0, total) counts from 0: the first step of a warm-up of w steps runs at base / w.
double learning_rate(const LrScheduleConfig& config, double base, int64_t step, int64_t total);

}  // namespace moga
