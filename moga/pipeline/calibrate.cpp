// Runs the scripts twice: the first run collects router inputs, the second measures on different noise.
#include "moga/pipeline/calibrate.h"

#include <chrono>

#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/pipeline/shot_captions.h"

namespace moga {
namespace {

constexpr int64_t kHeldOut = 1'000'003;  // added to a script's seed for the second run

VideoRequest make_request(const Script& script, const Models& models, int64_t seed) {
  const Strides pixels_per_token = models.pixels_per_token();
  VideoRequest request;
  request.shape =
      video_shape({script.size[0], script.size[1]}, script.latent_shot_frames(pixels_per_token), pixels_per_token);
  request.captions = shot_captions(script, models);
  request.negative_prompt = script.negative_text();
  request.seed = seed;
  return request;
}

void run(Models& models, const VideoRequest& request, const CalibrationConfig& config, const StepObserver& observer) {
  const at::Tensor text = encode_prompts(models, {request}, config.sampler);
  denoise(models, {request}, text, {.sampler = config.sampler, .observe = observer});
}

// Each observed step, and its index among the observed steps.
std::map<int64_t, int64_t> observed_steps(const CalibrationConfig& config) {
  const int64_t count = std::min(config.observed_steps, config.sampler.steps);
  std::map<int64_t, int64_t> steps;
  for (int64_t i = 0; i < count; ++i) steps[(2 * i + 1) * config.sampler.steps / (2 * count)] = i;
  return steps;
}

std::vector<LayerCalibration> fit_layers(Models& models, const std::vector<Script>& scripts,
                                         const CalibrationConfig& config) {
  const std::map<int64_t, int64_t> steps = observed_steps(config);
  const int64_t observations = static_cast<int64_t>(scripts.size() * steps.size());
  RouterInputs inputs(static_cast<int64_t>(steps.size()), std::max<int64_t>(1, config.tokens / observations),
                      config.fit.seed);
  const StepObserver observer = [&](int64_t step) {
    return steps.contains(step) ? inputs.observer(steps.at(step)) : AttentionObserver();
  };
  log_info("calibrate: router inputs of ", scripts.size(), scripts.size() == 1 ? " script" : " scripts");
  for (const Script& script : scripts) run(models, make_request(script, models, script.seed), config, observer);
  Progress progress("k-means", models.transformer->config().shape().layers, "layer");
  return inputs.fit(*models.transformer, config.routers, config.fit, models.device, [&] {
    progress.advance();
    stop_if_interrupted();
  });
}

void measure_layers(Models& models, const std::vector<Script>& scripts, const CalibrationConfig& config,
                    std::vector<LayerCalibration>& layers) {
  const std::map<int64_t, int64_t> steps = observed_steps(config);
  RouterMeasurement measurement(*models.transformer, layers, config.fit.seed, models.device);
  log_info("calibrate: measuring, from other noise");
  for (const Script& script : scripts) {
    const VideoRequest request = make_request(script, models, script.seed + kHeldOut);
    const Layout layout{std::vector<VideoShape>(config.sampler.guidance != 1.0 ? 2 : 1, request.shape)};
    const AttentionObserver observer = measurement.observer(layout);
    run(models, request, config, [&](int64_t step) { return steps.contains(step) ? observer : AttentionObserver(); });
  }
  measurement.choose(layers);
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
  const VisualAttentionConfig attention = calibrated_attention(models.transformer->config());  // before anything slow
  for (const Script& script : scripts) script.validate(models.pixels_per_token());
  check(static_cast<int64_t>(attention.full_layers.size()) < models.transformer->config().shape().layers,
        "calibrate: full_layers names every block, so there are no routers to calibrate");
  const auto start = std::chrono::steady_clock::now();
  Calibration calibration{fit_layers(models, scripts, config)};
  measure_layers(models, scripts, config, calibration.layers);
  calibration.all = summary(calibration.layers);
  calibration.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return calibration;
}

}  // namespace moga
