// The sampling loop and its configuration.
#include <gtest/gtest.h>

#include <cmath>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/sampler/solver.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"

namespace moga {
namespace {

// All data at 0: v = ε = x / t.
at::Tensor towards_zero(const at::Tensor& x, const SamplerStep& step) { return x / step.time; }

TEST(Sample, ReachesTheDataWhenAllOfItIsOnePoint) {
  for (const SolverKind solver : {SolverKind::kEuler, SolverKind::kUniPc}) {
    const at::Tensor x = sample(towards_zero, at::randn({3, 4}), {.solver = solver, .steps = 4});
    EXPECT_LE(x.abs().max().item<float>(), 1e-5) << name_of(solver);
  }
}

TEST(Sample, KeepsSamplesInFloat32WhateverTheModelReturns) {
  const Velocity coarse = [](const at::Tensor& x, const SamplerStep&) { return x.to(at::kBFloat16); };
  EXPECT_EQ(sample(coarse, at::randn({4}, at::kBFloat16), {.steps = 2}).scalar_type(), at::kFloat);
}

TEST(Sample, CallsTheModelOnceAStepAndReportsEachStep) {
  std::vector<double> visited, told;
  std::vector<int64_t> reported, full;
  const SamplerConfig config{.steps = 5, .shift = 3.0, .full_steps = 2, .whole_timesteps = true};
  const Velocity velocity = [&](const at::Tensor& x, const SamplerStep& step) {
    visited.push_back(step.time);
    told.push_back(step.timestep);
    if (step.full_attention) full.push_back(step.number);
    return towards_zero(x, step);
  };
  sample(velocity, at::randn({4}), config, [&](int64_t step, const at::Tensor&) { reported.push_back(step); });
  std::vector<double> times = flow_schedule(config);
  times.pop_back();
  EXPECT_EQ(visited, times);
  EXPECT_EQ(told, model_timesteps(config));
  EXPECT_EQ(full, (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(reported, (std::vector<int64_t>{0, 1, 2, 3, 4}));
}

TEST(Sample, EndsWhenTheCallbackThrows) {
  const auto stop = [](int64_t step, const at::Tensor&) { check(step < 1, "stop"); };
  EXPECT_EQ(test::error_of([&] { sample(towards_zero, at::randn({4}), {.steps = 5}, stop); }), "stop");
}

TEST(Sample, RefusesAVelocityOfAnotherShape) {
  const Velocity wrong = [](const at::Tensor& x, const SamplerStep&) { return x.unsqueeze(0); };
  EXPECT_EQ(test::error_of([&] { sample(wrong, at::randn({4}), {.steps = 2}); }),
            "sampler step 0: velocity [1, 4], sample [4]");
}

TEST(SamplerConfig, RefusesWhatCannotBeSampled) {
  EXPECT_EQ(test::error_of([] { parse_json<SamplerConfig>(R"({"solver": "heun"})", "a.json"); }),
            "a.json: solver 'heun' is not one of euler, unipc");
  const auto refusal = [](const SamplerConfig& config) { return test::error_of([&] { config.validate(); }); };
  EXPECT_EQ(refusal({.steps = 0}).find("steps = 0: expected 1 to "), 0u);
  EXPECT_EQ(refusal({.steps = 1'000'000'000'000}).find("steps = 1000000000000: expected 1 to "), 0u);
  EXPECT_EQ(refusal({.shift = 0.0}), "shift = 0: expected a number above 0");
  EXPECT_EQ(refusal({.guidance = std::nan("")}), "guidance = nan: expected 1 (off) or more");
  EXPECT_EQ(test::error_of([] { flow_schedule({.steps = 0}); }), refusal({.steps = 0}));
  EXPECT_EQ(refusal({.guidance = 0.5}), "guidance = 0.5: expected 1 (off) or more");
  EXPECT_EQ(refusal({.steps = 4, .full_steps = 5}), "full_steps = 5: expected 0 to 4, the number of steps");
  EXPECT_EQ(refusal({.steps = 4, .full_steps = -1}), "full_steps = -1: expected 0 to 4, the number of steps");
  EXPECT_EQ(refusal({.steps = 4, .guidance = 1, .full_steps = 4}), "");
}

}  // namespace
}  // namespace moga
