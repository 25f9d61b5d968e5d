// scheduler_config.json, as this program and diffusers write it.
#include "moga/core/config.h"
#include "moga/sampler/scheduler_file.h"
#include "tests/fuzz/agree.h"
#include "tests/fuzz/target.h"

namespace moga::test {
namespace {

using nlohmann::json;
using Path = std::filesystem::path;

constexpr const char* kUniPc = R"({"_class_name": "UniPCMultistepScheduler", "_diffusers_version": "0.35.0",
 "beta_end": 0.02, "beta_schedule": "linear", "beta_start": 0.0001, "disable_corrector": [], "final_sigmas_type": "zero",
 "flow_shift": 3.0, "num_train_timesteps": 1000, "predict_x0": true, "prediction_type": "flow_prediction",
 "solver_order": 2, "solver_p": null, "solver_type": "bh2", "thresholding": false, "use_flow_sigmas": true})";
constexpr const char* kEuler = R"({"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000,
 "shift": 8.0, "use_dynamic_shifting": false, "base_shift": 0.5, "max_shift": 1.15, "stochastic_sampling": false})";
constexpr const char* kOurs = R"({"solver": "unipc", "steps": 20, "shift": 5.0, "guidance": 3.0, "full_steps": 2,
 "whole_timesteps": false, "flow_shift": 5.0, "num_train_timesteps": 1000, "prediction_type": "flow_prediction"})";

std::string mutate(const std::string& original, Random& random) { return mutate_text(original, random); }

void read_scheduler(const Path& path, const std::string& bytes) {
  const json used = json::parse(to_json(load_sampler_config(path))), given = json::parse(bytes);
  for (const auto& [key, value] : used.items())
    if (given.contains(key)) check_agrees(given[key], value, {}, key);
  const bool unipc = used["solver"] == "unipc";
  if (unipc && given.contains("flow_shift")) check_agrees(given["flow_shift"], used["shift"], {}, "flow_shift");
}

}  // namespace

std::vector<Target> scheduler_targets() {
  return {{"scheduler configs", "config.json", {kUniPc, kEuler, kOurs}, mutate, read_scheduler}};
}

}  // namespace moga::test
