// Warm-up, then constant or cosine. See lr_schedule.h.
#include "moga/train/loop/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "moga/core/check.h"

namespace moga {

void LrScheduleConfig::validate() const {
  check(warmup_steps >= 0, "warmup_steps is ", warmup_steps, ", expected at least 0");
  check(final_fraction >= 0 && final_fraction <= 1, "final_fraction is ", final_fraction, ", expected 0 to 1");
}

double learning_rate(const LrScheduleConfig& config, double base, int64_t step, int64_t total) {
  if (step < config.warmup_steps) return base * static_cast<double>(step + 1) / config.warmup_steps;
  if (config.kind == LrKind::kConstant) return base;
  const double span = std::max<int64_t>(1, total - config.warmup_steps);
  const double progress = std::clamp((step - config.warmup_steps) / span, 0.0, 1.0);
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return base * (config.final_fraction + (1 - config.final_fraction) * cosine);
}

}  // namespace moga
