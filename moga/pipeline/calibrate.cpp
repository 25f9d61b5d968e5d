// Runs the scripts twice: the first run collects router inputs, the second measures on different noise.
#include "moga/pipeline/calibrate.h"

#include <algorithm>
#include <chrono>
#include <sstream>

#include "moga/core/check.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/pipeline/images.h"
#include "moga/pipeline/script_request.h"

namespace moga {
namespace {

constexpr int64_t kHeldOut = 1'000'003;  // added to a script's seed for the second run

void run(Models& models, const VideoRequest& request, const CalibrationConfig& config, const StepObserver& observer) {
  denoise(models, {request}, encode_conditions(models, {request}, config.sampler),
          {.sampler = config.sampler, .observe = observer});
}

// An observed step: which expert computes it, and its index among the observed steps of that expert.
struct Observed {
  size_t expert;
  int64_t index;
};

std::map<int64_t, Observed> observed_steps(const Models& models, const CalibrationConfig& config) {
  std::map<int64_t, Observed> observed;
  const auto experts = steps_of_experts(models, config.sampler);
  for (size_t expert = 0; expert < experts.size(); ++expert) {
    const auto steps = static_cast<int64_t>(experts[expert].size());
    check(steps > 0, "calibrate: none of ", config.sampler.steps, " steps is computed by ",
          expert == 0 ? "the expert for high noise" : "the expert for low noise", ", expected more steps");
    const int64_t count = std::min(config.observed_steps, steps);
    for (int64_t i = 0; i < count; ++i) observed[experts[expert][(2 * i + 1) * steps / (2 * count)]] = {expert, i};
  }
  return observed;
}

int64_t observed_of(const std::map<int64_t, Observed>& steps, size_t expert) {
  return std::ranges::count_if(steps, [&](const auto& step) { return step.second.expert == expert; });
}

int64_t layers_with_routers(const VideoModelConfig& config) {
  return config.shape().layers - static_cast<int64_t>(calibrated_attention(config).full_layers.size());
}

// The routers that are computed: one per layer, expert and candidate.
int64_t routers_of(const Models& models, const CalibrationConfig& config) {
  int64_t layers = 0;
  for (const VideoModelPtr& expert : models.experts()) layers += layers_with_routers(expert->config());
  return layers * static_cast<int64_t>(candidate_methods(config.routers).size());
}

// "8 layers of 2 experts, 3 candidates each (tokens, attention, spread)"
std::string routers_text(const Models& models, const CalibrationConfig& config) {
  std::ostringstream text;
  const int64_t layers = layers_with_routers(models.transformer->config());
  text << layers << (layers == 1 ? " layer" : " layers") << (models.transformer_2 ? " of each of 2 experts, " : ", ");
  const std::vector<RouterMethod> methods = candidate_methods(config.routers);
  text << methods.size() << (methods.size() == 1 ? " candidate each (" : " candidates each (");
  for (const RouterMethod method : methods) text << (method == methods.front() ? "" : ", ") << name_of(method);
  return text.str() + ")";
}

// The whole, before it begins.
void log_parts(const Models& models, const std::vector<Script>& scripts, const CalibrationConfig& config) {
  const std::string count = std::to_string(scripts.size()) + (scripts.size() == 1 ? " script" : " scripts");
  log_info("calibrate, part 1 of 3: router inputs of ", count, ", ", config.sampler.steps, " steps each");
  log_info("calibrate, part 2 of 3: k-means of ", config.tokens, " tokens for ", routers_of(models, config),
           " routers: ", routers_text(models, config));
  log_info("calibrate, part 3 of 3: measuring on the same ", scripts.size() == 1 ? "script" : "scripts",
           " from other noise, which takes longer than part 1");
}

// The layers of each expert.
std::vector<std::vector<LayerCalibration>> fit_layers(Models& models, const std::vector<Script>& scripts,
                                                      const CalibrationConfig& config) {
  const std::map<int64_t, Observed> steps = observed_steps(models, config);
  const std::vector<VideoModelPtr> experts = models.experts();
  std::vector<RouterInputs> inputs;
  for (size_t expert = 0; expert < experts.size(); ++expert) {
    const int64_t sets = observed_of(steps, expert), observations = static_cast<int64_t>(scripts.size()) * sets;
    inputs.emplace_back(sets, std::max<int64_t>(1, config.tokens / observations), config.fit.seed);
  }
  const StepObserver observer = [&](int64_t step) {
    const auto found = steps.find(step);
    return found == steps.end() ? AttentionObserver() : inputs[found->second.expert].observer(found->second.index);
  };
  {
    Progress progress("calibrate, part 1: inputs", static_cast<int64_t>(scripts.size()), "script");
    for (const Script& script : scripts) {
      run(models, script_request(script, models), config, observer);
      progress.advance();
    }
  }
  Progress progress("calibrate, part 2: k-means", routers_of(models, config), "router");
  std::vector<std::vector<LayerCalibration>> layers;
  for (size_t expert = 0; expert < experts.size(); ++expert)
    layers.push_back(inputs[expert].fit(*experts[expert], config.routers, config.fit, models.device, [&] {
      progress.advance();
      stop_if_interrupted();
    }));
  return layers;
}

void measure_layers(Models& models, const std::vector<Script>& scripts, const CalibrationConfig& config,
                    std::vector<std::vector<LayerCalibration>>& layers) {
  const std::map<int64_t, Observed> steps = observed_steps(models, config);
  const std::vector<VideoModelPtr> experts = models.experts();
  std::vector<RouterMeasurement> measurements;
  for (size_t expert = 0; expert < experts.size(); ++expert)
    measurements.emplace_back(*experts[expert], layers[expert], config.fit.seed, models.device);
  Progress progress("calibrate, part 3: measuring", static_cast<int64_t>(scripts.size()), "script");
  for (const Script& script : scripts) {
    VideoRequest request = script_request(script, models);
    request.seed = script.seed + kHeldOut;
    run(models, request, config, [&](int64_t step) {
      const auto found = steps.find(step);
      if (found == steps.end()) return AttentionObserver();
      const size_t expert = found->second.expert;
      const double guidance = expert == 0 ? config.sampler.guidance : config.sampler.low_noise_guidance();
      return measurements[expert].observer({std::vector<VideoShape>(guidance != 1.0 ? 2 : 1, request.shape)});
    });
    progress.advance();
  }
  for (size_t expert = 0; expert < experts.size(); ++expert) measurements[expert].choose(layers[expert]);
}

std::map<std::string, RouterScore> summary(const std::vector<LayerCalibration>& layers) {
  std::map<std::string, RouterScore> all;
  const double share = 1.0 / static_cast<double>(layers.size());
  for (const LayerCalibration& layer : layers)
    for (const auto& [name, score] : layer.scores) {
      const bool first = !all.contains(name);
      RouterScore& sum = all[name];
      sum.smallest = first ? score.smallest : std::min(sum.smallest, score.smallest);
      sum.largest = std::max(sum.largest, score.largest);
      sum.balance += share * score.balance;
      sum.gate += share * score.gate;
      sum.error_mean += share * score.error_mean;
      sum.error_lse += share * score.error_lse;
    }
  return all;
}

// Before anything slow.
void check_routers(const Models& models) {
  for (const VideoModelPtr& expert : models.experts()) {
    const VisualAttentionConfig attention = calibrated_attention(expert->config());
    check(static_cast<int64_t>(attention.full_layers.size()) < expert->config().shape().layers,
          "calibrate: full_layers names every block, so there are no routers to calibrate");
  }
}

}  // namespace

void CalibrationConfig::validate() const {
  check(observed_steps >= 1, "observed_steps = ", observed_steps, ", expected 1 or more");
  check(tokens >= 1, "tokens = ", tokens, ", expected 1 or more");
  fit.validate();
  sampler.validate();
}

Calibration calibrate(Models& models, const std::vector<Script>& scripts, const CalibrationConfig& config) {
  config.validate();
  check(!scripts.empty(), "calibrate: no scripts");
  check_routers(models);
  for (const Script& script : scripts) script.validate(models.pixels_per_token());
  const auto start = std::chrono::steady_clock::now();
  log_parts(models, scripts, config);
  auto layers = fit_layers(models, scripts, config);
  measure_layers(models, scripts, config, layers);
  Calibration calibration;
  calibration.layers = std::move(layers[0]);
  calibration.all = summary(calibration.layers);
  if (layers.size() > 1) calibration.low_noise = ExpertCalibration{layers[1], summary(layers[1])};
  calibration.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return calibration;
}

}  // namespace moga
