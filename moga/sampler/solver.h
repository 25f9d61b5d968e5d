// Sampling a rectified flow from noise (t = 1) to data (t = 0) over a shifted schedule.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "moga/sampler/velocity.h"

namespace moga {

struct SamplerConfig {
  std::string solver = "unipc";  // "euler", "unipc" (order 2, bh2)
  int64_t steps = 50;
  double shift = 5.0;            // t' = s·t / (1 + (s - 1)·t)
  double guidance = 5.0;         // classifier-free guidance scale; 1: off

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("solver", solver, "euler or unipc");
    field("steps", steps, "sampler steps");
    field("shift", shift, "timestep shift s");
    field("guidance", guidance, "classifier-free guidance scale; 1 switches it off");
  }
};

// steps + 1 times from 1 to 0, equal to the times Wan2.1's own schedulers visit at this shift.
std::vector<double> flow_schedule(const SamplerConfig& config);

// One solver step from times[i] to times[i + 1]; a solver keeps the history it needs.
class Solver {
 public:
  virtual ~Solver() = default;
  virtual at::Tensor step(const at::Tensor& x, const at::Tensor& velocity, size_t i) = 0;
};
std::unique_ptr<Solver> make_solver(const SamplerConfig& config, const std::vector<double>& times);

// Runs the whole schedule from `noise`. on_step(i, x) follows each step; throwing there ends the run.
at::Tensor sample(const Velocity& velocity, const at::Tensor& noise, const SamplerConfig& config,
                  const std::function<void(int64_t step, const at::Tensor& x)>& on_step = {});

// Classifier-free guidance from one packed evaluation of both: `pair` returns (conditional, unconditional).
using VelocityPair = std::function<std::pair<at::Tensor, at::Tensor>(const at::Tensor& x, double t)>;
Velocity guided(const VelocityPair& pair, double scale);

}  // namespace moga
