// The learning rate of a train step: linear warm-up from 0 to the base rate, then constant or half a cosine down to a
// fraction of it. A function of the step alone, so that a resumed run needs no state of it.
#pragma once

#include <cstdint>
#include <string>

namespace moga {

struct LrScheduleConfig {
  std::string kind = "constant";
  int64_t warmup_steps = 200;
  double final_fraction = 0.1;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("kind", kind, "constant or cosine, after the warm-up");
    field("warmup_steps", warmup_steps, "train steps of linear warm-up");
    field("final_fraction", final_fraction, "cosine: last learning rate over the first");
  }
};

// `step` in [0, total) counts from 0: the first step of a warm-up of w steps runs at base / w.
double learning_rate(const LrScheduleConfig& config, double base, int64_t step, int64_t total);

}  // namespace moga
