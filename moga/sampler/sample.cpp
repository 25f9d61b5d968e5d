// The sampling loop: noise at t = 1 → data at t = 0. Knows neither the model nor the solver.
#include <ATen/ATen.h>

#include "moga/core/check.h"
#include "moga/sampler/solver.h"

namespace moga {

at::Tensor sample(const Velocity& velocity, const at::Tensor& noise, const SamplerConfig& config,
                  const std::function<void(int64_t step, const at::Tensor& x)>& on_step) {
  const at::NoGradGuard no_grad;
  const std::vector<double> times = flow_schedule(config);
  const std::unique_ptr<Solver> solver = make_solver(config, times);

  at::Tensor x = noise.scalar_type() == at::kDouble ? noise : noise.to(at::kFloat);
  for (size_t i = 0; i + 1 < times.size(); ++i) {
    const at::Tensor v = velocity(x, times[i]);
    check(v.sizes() == x.sizes(), "sampler step ", i, ": velocity ", v.sizes(), ", sample ", x.sizes());
    x = solver->step(x, v, i);
    if (on_step) on_step(static_cast<int64_t>(i), x);
  }
  return x;
}

}  // namespace moga
