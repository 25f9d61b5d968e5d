// Solvers: equal to diffusers step by step, and convergent on flows whose solution is known in closed form.
//
// For data N(μ, s²) the velocity is v = (t - (1-t)s²)/V · (x - (1-t)μ) - μ with V = (1-t)²s² + t², and the flow takes
// noise ε to μ + s·ε.
#include "moga/sampler/solver.h"

#include <gtest/gtest.h>

#include <cmath>

#include "moga/core/check.h"
#include "moga/core/safetensors.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"

namespace moga {
namespace {

constexpr double kMean = 0.7;
constexpr double kDeviation = 1.0;

at::Tensor gaussian_velocity_at(const at::Tensor& x, double t) {
  const double variance = (1 - t) * (1 - t) * kDeviation * kDeviation + t * t;
  return (t - (1 - t) * kDeviation * kDeviation) / variance * (x - (1 - t) * kMean) - kMean;
}

at::Tensor gaussian_velocity(const at::Tensor& x, const SamplerStep& step) {
  return gaussian_velocity_at(x, step.time);
}

at::Tensor noise() { return at::linspace(-2, 2, 9, at::kDouble); }
at::Tensor exact() { return kMean + kDeviation * noise(); }

double error_after(SolverKind solver, int64_t steps, double shift) {
  const at::Tensor x = sample(gaussian_velocity, noise(), {.solver = solver, .steps = steps, .shift = shift});
  return test::difference(x, exact()).relative;
}

// Steps enough for the first and last step, which are of order 1 in UniPC, not to hide the order of the rest.
double convergence_order(SolverKind solver, double shift) {
  return std::log2(error_after(solver, 40, shift) / error_after(solver, 160, shift)) / 2;
}

struct FixtureCase {
  SolverKind solver;
  int64_t steps;
  double shift;
};

class SolverParity : public testing::TestWithParam<FixtureCase> {
 protected:
  SamplerConfig config() const {
    return {.solver = GetParam().solver, .steps = GetParam().steps, .shift = GetParam().shift};
  }
  at::Tensor fixture(const std::string& what) const {
    std::ostringstream name;
    name << name_of(GetParam().solver) << '.' << GetParam().steps << '.' << GetParam().shift << '.' << what;
    return Safetensors(MOGA_FIXTURES "/sampler.safetensors").load(name.str());
  }
};

TEST_P(SolverParity, TheModelIsToldTheTimestepsOfDiffusers) {
  SamplerConfig asked = config();
  asked.whole_timesteps = true;
  const at::Tensor timesteps = at::tensor(model_timesteps(asked), at::kDouble);
  const at::Tensor expected = fixture("timesteps").to(at::kDouble);
  EXPECT_LE(test::difference(timesteps, expected).largest, asked.solver == SolverKind::kUniPc ? 0.0 : 1e-3)
      << timesteps;
}

TEST_P(SolverParity, ScheduleVisitsTheTimesOfDiffusers) {
  const at::Tensor times = at::tensor(flow_schedule(config()), at::kDouble);
  EXPECT_LE(test::difference(times, fixture("sigmas")).largest, 1e-7);
}

TEST_P(SolverParity, EveryStepEqualsDiffusers) {
  const std::vector<double> times = flow_schedule(config());
  const auto solver = make_solver(config(), times);
  const at::Tensor velocities = fixture("velocities"), samples = fixture("samples");
  at::Tensor x = samples[0];
  for (int64_t i = 0; i < GetParam().steps; ++i) {
    x = solver->step(x, velocities[i], i);
    EXPECT_TRUE(test::close(x, samples[i + 1], 2e-6)) << "step " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Diffusers, SolverParity,
                         testing::Values(FixtureCase{SolverKind::kEuler, 1, 1}, FixtureCase{SolverKind::kEuler, 2, 5},
                                         FixtureCase{SolverKind::kEuler, 7, 3}, FixtureCase{SolverKind::kEuler, 20, 5},
                                         FixtureCase{SolverKind::kUniPc, 1, 1}, FixtureCase{SolverKind::kUniPc, 2, 5},
                                         FixtureCase{SolverKind::kUniPc, 7, 3}, FixtureCase{SolverKind::kUniPc, 20, 5}),
                         [](const auto& info) {
                           return std::string(name_of(info.param.solver)) + "_" + std::to_string(info.param.steps) +
                                  "_steps";
                         });

TEST(Convergence, EulerIsOfFirstOrder) {
  EXPECT_NEAR(convergence_order(SolverKind::kEuler, 1.0), 1.0, 0.05);
  EXPECT_NEAR(convergence_order(SolverKind::kEuler, 3.0), 1.0, 0.05);
}

TEST(Convergence, UniPcIsOfSecondOrderOrBetter) {
  EXPECT_GE(convergence_order(SolverKind::kUniPc, 1.0), 2.0);
  EXPECT_GE(convergence_order(SolverKind::kUniPc, 3.0), 2.0);
}

TEST(Convergence, UniPcNeedsAQuarterOfTheStepsOfEuler) {
  EXPECT_LT(error_after(SolverKind::kUniPc, 20, 3.0), error_after(SolverKind::kEuler, 80, 3.0));
  EXPECT_LT(error_after(SolverKind::kUniPc, 40, 5.0), error_after(SolverKind::kEuler, 160, 5.0));
}

TEST(Solver, ContinuesFromItsStateBitForBit) {
  const SamplerConfig config{.solver = SolverKind::kUniPc, .steps = 6, .shift = 3.0};
  const std::vector<double> times = flow_schedule(config);
  const auto whole = make_solver(config, times);
  at::Tensor x = noise(), resumed;
  std::unique_ptr<Solver> continued;
  for (size_t i = 0; i < 6; ++i) {
    if (i == 3) {
      continued = make_solver(config, times);
      continued->restore(whole->state());
      resumed = x;
    }
    x = whole->step(x, gaussian_velocity_at(x, times[i]), i);
    if (continued) resumed = continued->step(resumed, gaussian_velocity_at(resumed, times[i]), i);
  }
  EXPECT_TRUE(at::equal(x, resumed));
}

TEST(Solver, RefusesAStepOutsideTheSchedule) {
  const SamplerConfig config{.solver = SolverKind::kUniPc, .steps = 2};
  const auto solver = make_solver(config, flow_schedule(config));
  EXPECT_EQ(test::error_of([&] { solver->step(noise(), noise(), 2); }), "UniPC: step 2 of a schedule of 2");
}

}  // namespace
}  // namespace moga
