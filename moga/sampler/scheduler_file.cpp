// See scheduler_file.h.
#include "moga/sampler/scheduler_file.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/foreign_keys.h"
#include "moga/core/json_text.h"

namespace moga {
namespace {

using nlohmann::json;

constexpr const char* kUniPcClass = "UniPCMultistepScheduler";
constexpr const char* kEulerClass = "FlowMatchEulerDiscreteScheduler";

// Parameters of both classes: a config converted from one to the other keeps the keys of the first. Those of the noise
// schedule of a diffusion with betas do nothing in a rectified flow.
constexpr std::array kForeignKeys = {
    ForeignKey{"num_train_timesteps", "1000"},
    ForeignKey{"prediction_type", R"("flow_prediction")"},
    ForeignKey{"use_flow_sigmas", "true"},
    ForeignKey{"use_karras_sigmas", "false"},
    ForeignKey{"use_exponential_sigmas", "false"},
    ForeignKey{"use_beta_sigmas", "false"},
    ForeignKey{"use_dynamic_shifting", "false"},
    ForeignKey{"shift_terminal", "null"},
    ForeignKey{"invert_sigmas", "false"},
    ForeignKey{"stochastic_sampling", "false"},
    ForeignKey{"final_sigmas_type", R"("zero")"},
    ForeignKey{"solver_order", "2"},
    ForeignKey{"solver_type", R"("bh2")"},
    ForeignKey{"solver_p", "null"},
    ForeignKey{"predict_x0", "true"},
    ForeignKey{"lower_order_final", "true"},
    ForeignKey{"disable_corrector", "[]"},
    ForeignKey{"thresholding", "false"},
    ForeignKey{"dynamic_thresholding_ratio"},
    ForeignKey{"sample_max_value"},
    ForeignKey{"beta_start"},
    ForeignKey{"beta_end"},
    ForeignKey{"beta_schedule"},
    ForeignKey{"trained_betas"},
    ForeignKey{"rescale_betas_zero_snr"},
    ForeignKey{"timestep_spacing"},
    ForeignKey{"steps_offset"},
    ForeignKey{"time_shift_type"},
    ForeignKey{"sigma_min"},
    ForeignKey{"sigma_max"},
    ForeignKey{"base_shift"},
    ForeignKey{"max_shift"},
    ForeignKey{"base_image_seq_len"},
    ForeignKey{"max_image_seq_len"},
};

// Our own files carry the complete SamplerConfig.
bool is_ours(const json& file) { return file.contains("solver"); }

std::string class_of(const json& file, const std::string& source) {
  if (!file.contains("_class_name") && is_ours(file)) return "";
  const std::string name = text_member(file, "_class_name", source);
  check(name == kUniPcClass || name == kEulerClass, source, ": _class_name = ", printable(name), ", expected ",
        kUniPcClass, " or ", kEulerClass);
  return name;
}

// Parameters whose default in diffusers is no rectified flow.
void check_flow(const json& file, const std::string& source) {
  for (const auto& [key, fallback, expected] :
       {std::array{"prediction_type", "epsilon", "\"flow_prediction\""}, {"use_flow_sigmas", "false", "true"}})
    check(file.contains(key) && !file[key].is_null(), source, ": ", key, " is missing, which is ", fallback,
          " to diffusers, expected ", expected);
}

// diffusers reads flow_shift for UniPC and shift for Euler, 1 when there is none; ours has either or both alike.
double shift_of(const json& file, bool unipc, double otherwise, const std::string& source) {
  const auto number = [&](const char* key, double fallback) {
    return !file.contains(key) || file[key].is_null() ? fallback : number_member(file, key, source);
  };
  if (!is_ours(file)) return number(unipc ? "flow_shift" : "shift", 1.0);
  const double shift = number("shift", number("flow_shift", otherwise)), flow_shift = number("flow_shift", shift);
  check(shift == flow_shift, source, ": shift = ", shift, " and flow_shift = ", flow_shift, ", expected the same");
  return shift;
}

}  // namespace

SamplerConfig load_sampler_config(const std::filesystem::path& path) {
  const std::string source = path.string();
  json file = parse_json_object(read_text(path, kMostConfigBytes), source);
  const std::string name = class_of(file, source);
  if (name == kUniPcClass) check_flow(file, source);
  const double shift = shift_of(file, name != kEulerClass, SamplerConfig().shift, source);
  if (const auto type = file.find("solver_type"); type != file.end())  // diffusers runs bh2 for these
    if (*type == "midpoint" || *type == "heun" || *type == "logrho") file.erase(type);
  file.erase("flow_shift");
  file["shift"] = shift;
  if (!file.contains("solver")) file["solver"] = name_of(name == kEulerClass ? SolverKind::kEuler : SolverKind::kUniPc);
  if (!file.contains("whole_timesteps")) file["whole_timesteps"] = !name.empty();
  erase_foreign_keys(file, kForeignKeys, source);
  return parse_json<SamplerConfig>(file.dump(2), source);
}

}  // namespace moga
