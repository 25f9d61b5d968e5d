// The sampling loop, from noise at t = 1 to data at t = 0. Independent of the model and of the solver.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "moga/core/check.h"
#include "moga/sampler/solver.h"

namespace moga {

at::Tensor sample_from(const Velocity& velocity, const SampleState& state, const SamplerConfig& config,
                       const std::function<void(const SampleState& state)>& on_step) {
  const at::NoGradGuard no_grad;
  const std::vector<double> times = flow_schedule(config), timesteps = model_timesteps(config);
  const std::unique_ptr<Solver> solver = make_solver(config, times);
  check(state.steps >= 0 && state.steps <= config.steps, "sampling continues after step ", state.steps,
        " of a schedule of ", config.steps);
  solver->restore(state.solver);

  at::Tensor x = state.x.scalar_type() == at::kDouble ? state.x : state.x.to(at::kFloat);
  for (size_t i = state.steps; i + 1 < times.size(); ++i) {
    const auto number = static_cast<int64_t>(i);
    const at::Tensor v = velocity(x, {number, times[i], timesteps[i], number < config.full_steps});
    check(v.sizes() == x.sizes(), "sampler step ", i, ": velocity ", v.sizes(), ", sample ", x.sizes());
    x = solver->step(x, v, i);
    if (on_step) on_step({number + 1, x, solver->state()});
  }
  return x;
}

at::Tensor sample(const Velocity& velocity, const at::Tensor& noise, const SamplerConfig& config,
                  const std::function<void(int64_t step, const at::Tensor& x)>& on_step) {
  return sample_from(velocity, {0, noise, {}}, config, [&](const SampleState& state) {
    if (on_step) on_step(state.steps - 1, state.x);
  });
}

}  // namespace moga
