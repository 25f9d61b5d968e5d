// Sampling a rectified flow from noise (t = 1) to data (t = 0) over a shifted schedule: x' = v(x, t), one model
// evaluation per step.
//
// Solvers are those of Wan2.1's pipelines and are tested step by step against diffusers. This folder knows no model:
// callers wrap one in a Velocity (moga/model/denoiser.h). Samples are kept in float32 (or float64); coefficients are
// doubles on the host.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "moga/core/choice.h"
#include "moga/sampler/velocity.h"

namespace moga {

enum class SolverKind { kEuler, kUniPc };
template <>
inline constexpr auto kChoices<SolverKind> = std::array{
    Choice{SolverKind::kEuler, "euler", "Euler's method, one evaluation per step"},
    Choice{SolverKind::kUniPc, "unipc", "UniPC of order 2 (bh2), one evaluation per step"},
};

struct SamplerConfig {
  SolverKind solver = SolverKind::kUniPc;
  int64_t steps = 50;
  double shift = 5.0;                     // t' = s·t / (1 + (s - 1)·t)
  double guidance = 5.0;                  // classifier-free guidance scale, at least 1, which is off
  std::optional<double> guidance_2 = {};  // of the low-noise expert of a model with two; unset: guidance
  int64_t full_steps = 0;                 // the first steps, in which the model runs full attention in all layers
  // With UniPC the model gets floor(1000 t), as from diffusers' scheduler. Euler's times are never rounded.
  bool whole_timesteps = false;

  double low_noise_guidance() const { return guidance_2.value_or(guidance); }
  bool guided() const { return guidance != 1.0 || low_noise_guidance() != 1.0; }  // in any step
  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("solver", solver, "solver");
    field("steps", steps, "sampler steps");
    field("shift", shift, "timestep shift s");
    field("guidance", guidance, "classifier-free guidance scale; 1 switches it off");
    field("guidance_2", guidance_2, "guidance of the low-noise expert of a model with two (unset: guidance)");
    field("full_steps", full_steps, "first steps in which all layers run full attention");
    field("whole_timesteps", whole_timesteps, "with unipc: the model gets floor(1000 t), as in diffusers");
  }
};

// t' = s·t / (1 + (s - 1)·t): the timestep shift (docs/design.md, section 2), for training and sampling.
double shift_time(double t, double shift);

// steps + 1 falling times from 1 to 0, those that diffusers' scheduler of the same solver visits (schedule.cpp):
// UniPCMultistepScheduler (whose first time is 1 - 1e-6) or FlowMatchEulerDiscreteScheduler.
std::vector<double> flow_schedule(const SamplerConfig& config);

// The timestep that the model gets at each of these times except the last: 1000 t, rounded down if whole_timesteps.
std::vector<double> model_timesteps(const SamplerConfig& config);

// One solver step from times[i] to times[i + 1]. A solver keeps the history it needs, so steps are taken in order.
class Solver {
 public:
  virtual ~Solver() = default;
  // x: the sample at times[i], any shape, float32 or float64; velocity: v(x, times[i]), same shape.
  virtual at::Tensor step(const at::Tensor& x, const at::Tensor& velocity, size_t i) = 0;

  // The history as tensors (none for Euler), to be saved between two steps and restored into a new solver over the same
  // times, which then continues as if it had never stopped.
  virtual std::vector<at::Tensor> state() const { return {}; }
  virtual void restore(const std::vector<at::Tensor>& state);
};
std::unique_ptr<Solver> make_solver(const SamplerConfig& config, const std::vector<double>& times);

// The state of a run between two steps: sample_from continues from it as if the run had never stopped.
struct SampleState {
  int64_t steps = 0;               // taken
  at::Tensor x;                    // the sample at times[steps]; the noise if steps = 0
  std::vector<at::Tensor> solver;  // Solver::state()
};

// Runs the whole schedule from `noise`, without gradients. Calls on_step(i, x) after each step; an exception thrown
// there ends the run. The result has noise's shape, in float32 (float64 if noise is float64).
at::Tensor sample(const Velocity& velocity, const at::Tensor& noise, const SamplerConfig& config,
                  const std::function<void(int64_t step, const at::Tensor& x)>& on_step = {});

// Runs the rest of the schedule and calls on_step(state) after each step. SampleState{.x = noise} is the start.
at::Tensor sample_from(const Velocity& velocity, const SampleState& state, const SamplerConfig& config,
                       const std::function<void(const SampleState& state)>& on_step = {});

}  // namespace moga
