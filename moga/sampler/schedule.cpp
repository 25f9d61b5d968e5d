// The times a solver visits: an even grid over the training times, each shifted to s·t / (1 + (s-1)·t), and 0.
//
// Each solver has the schedule of its diffusers counterpart, so that pipelines can be compared number by number:
//   unipc  t_i evenly spaced from 1 to 1/1000 in `steps` intervals, with the last point replaced by 0. The first time
//          is 1 - 1e-6, since log((1-t)/t) must be finite.
//   euler  t_i evenly spaced in steps - 1 intervals from 1 to the *shifted* 1/1000, then 0. With large shifts the last
//          step is the longest.
// Times are float32 values, as the reference stores them: at 1 - 1e-6 that rounding changes 1 - t by 5 %.
#include <cmath>

#include "moga/core/check.h"
#include "moga/sampler/euler.h"
#include "moga/sampler/solver.h"
#include "moga/sampler/unipc.h"

namespace moga {
namespace {

constexpr double kSmallestTime = 1.0 / 1000.0;
constexpr int64_t kMostSteps = 100'000;  // beyond this, adjacent float32 times coincide
constexpr double kLargestUniPcTime = 1.0 - 1e-6;

// In NumPy's order of operations: where 1000 t is nearly a whole number, the last bit decides how it is rounded down.
std::vector<double> shifted_grid(int64_t count, double last, int64_t intervals, double shift) {
  const double interval = intervals > 0 ? (last - 1.0) / static_cast<double>(intervals) : 0.0;
  std::vector<double> times;
  for (int64_t i = 0; i < count; ++i) times.push_back(shift_time(static_cast<double>(i) * interval + 1.0, shift));
  return times;
}

// The times of flow_schedule before they are rounded, without the 0.
std::vector<double> exact_times(const SamplerConfig& config) {
  if (config.solver == SolverKind::kEuler)
    return shifted_grid(config.steps, shift_time(kSmallestTime, config.shift), config.steps - 1, config.shift);
  std::vector<double> times = shifted_grid(config.steps, kSmallestTime, config.steps, config.shift);
  times.front() = kLargestUniPcTime;
  return times;
}

void check_times(const std::vector<double>& times) {
  check(times.size() >= 2, "a schedule needs at least 2 times, got ", times.size());
  for (size_t i = 0; i + 1 < times.size(); ++i)
    check(times[i] > times[i + 1], "times must fall from 1 to 0: time ", i, " is ", times[i], ", the next ",
          times[i + 1]);
  check(times.front() <= 1.0 && times.back() >= 0.0, "times must be in [0, 1], got ", times.front(), " … ",
        times.back());
}

}  // namespace

void SamplerConfig::validate() const {
  check(steps >= 1 && steps <= kMostSteps, "steps = ", steps, ": expected 1 to ", kMostSteps);
  check(std::isfinite(shift) && shift > 0, "shift = ", shift, ": expected a number above 0");
  check(std::isfinite(guidance) && guidance >= 1, "guidance = ", guidance, ": expected 1 (off) or more");
  check(!guidance_2 || (std::isfinite(*guidance_2) && *guidance_2 >= 1), "guidance_2 = ", guidance_2.value_or(1),
        ": expected 1 (off) or more");
  check(full_steps >= 0 && full_steps <= steps, "full_steps = ", full_steps, ": expected 0 to ", steps,
        ", the number of steps");
}

double shift_time(double t, double shift) { return shift * t / (1.0 + (shift - 1.0) * t); }

std::vector<double> flow_schedule(const SamplerConfig& config) {
  config.validate();
  std::vector<double> times = exact_times(config);
  for (double& time : times) time = static_cast<float>(time);
  times.push_back(0.0);
  return times;
}

std::vector<double> model_timesteps(const SamplerConfig& config) {
  config.validate();
  const bool whole = config.whole_timesteps && config.solver == SolverKind::kUniPc;
  std::vector<double> timesteps;
  for (const double time : exact_times(config))
    timesteps.push_back(whole ? std::floor(1000.0 * time) : 1000.0 * static_cast<float>(time));
  return timesteps;
}

std::unique_ptr<Solver> make_solver(const SamplerConfig& config, const std::vector<double>& times) {
  config.validate();
  check_times(times);
  if (config.solver == SolverKind::kEuler) return make_euler(times);
  check(times.front() < 1.0, "UniPC needs times below 1, got ", times.front(), " first: use flow_schedule");
  return make_unipc(times);
}

void Solver::restore(const std::vector<at::Tensor>& state) {
  check(state.empty(), "this solver keeps no state, got ", state.size(), " tensors");
}

}  // namespace moga
