// The options that every command with a model shares: where it is, where and how it runs, and the sampler's values
// that replace the model's own.
#pragma once

#include <CLI/CLI.hpp>

#include <optional>
#include <string>

#include "moga/core/device.h"
#include "moga/core/log.h"
#include "moga/pipeline/models.h"

namespace moga {

struct ModelOptions {
  std::string folder;
  std::string device = "auto";
  std::string dtype;  // empty: bfloat16 on a GPU, float32 on a CPU
  std::string attention;
  std::optional<std::string> solver;
  std::optional<int64_t> steps;
  std::optional<double> shift, guidance;
  bool quiet = false;

  void add(CLI::App& command) {
    command.add_option("--model", folder, "model folder in diffusers' layout")->required();
    command.add_option("--device", device, "cpu, cuda, cuda:1, or auto: a GPU when there is one")
        ->capture_default_str();
    command.add_option("--dtype", dtype, "float32, bfloat16 or float16 (default: bfloat16 on a GPU, else float32)");
    command.add_option("--attention", attention, "backend: auto, reference, cpu or flash (default: the model's)");
    command.add_option("--solver", solver, "euler or unipc (default: the model's)");
    command.add_option("--steps", steps, "sampler steps (default: the model's)");
    command.add_option("--shift", shift, "timestep shift (default: the model's)");
    command.add_option("--guidance", guidance, "classifier-free guidance scale, 1: off (default: the model's)");
    command.add_flag("--quiet", quiet, "say nothing but results and errors");
  }

  Models load() const {
    set_quiet(quiet);
    const at::Device place = parse_device(device);
    const at::ScalarType type = !dtype.empty() ? parse_dtype(dtype) : place.is_cuda() ? at::kBFloat16 : at::kFloat;
    return load_models(folder, place, type, attention);
  }

  SamplerConfig sampler(const Models& models) const {
    SamplerConfig config = models.sampler;
    if (solver) config.solver = *solver;
    if (steps) config.steps = *steps;
    if (shift) config.shift = *shift;
    if (guidance) config.guidance = *guidance;
    config.validate();
    return config;
  }
};

}  // namespace moga
