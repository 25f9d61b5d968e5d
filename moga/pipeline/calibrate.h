// Calibration: routers for a model that was trained without them, from the inputs of its own blocks.
//
//   scripts → denoise, keeping router inputs of each layer at several steps → one router per layer
//           → denoise again from other noise, comparing MoGA's attention with full attention (model/calibration.h)
//
// Trained routers of the model are measured as well. Nothing is trained here, and the models are not changed:
// write_calibrated writes the folder that `moga generate` reads.
#pragma once

#include "moga/data/script.h"
#include "moga/model/calibration.h"
#include "moga/pipeline/denoise.h"

namespace moga {

struct CalibrationConfig {
  int64_t observed_steps = 4;  // sampler steps, evenly spaced, whose tokens are kept
  int64_t tokens = 8192;       // kept per layer, from all scripts and steps
  RouterMethod routers = RouterMethod::kAuto;
  RouterFitConfig fit;
  SamplerConfig sampler;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("observed_steps", observed_steps, "sampler steps whose tokens are kept, evenly spread");
    field("tokens", tokens, "router inputs kept per layer, from all scripts and steps");
    field("routers", routers, "how candidates for the routers are computed");
    field("fit", fit, "k-means");
    field("sampler", sampler, "sampler");
  }
};

struct ExpertCalibration {
  std::vector<LayerCalibration> layers = {};    // layers with a router: all except full_layers
  std::map<std::string, RouterScore> all = {};  // mean over the layers; smallest and largest over all layers
};

// Of the transformer; in a model of two experts, each has routers from the steps that it computes.
struct Calibration : ExpertCalibration {
  std::optional<ExpertCalibration> low_noise;  // of transformer_2
  double seconds = 0;
};

// `settings` for load_models with which the prompts run as the model was trained: with full attention if the folder has
// no routers.
std::vector<std::string> calibration_settings(const std::filesystem::path& folder,
                                              const std::vector<std::string>& settings);

// Groups, windows, gate and full layers come from the model's config, whatever its kind. Throws if that config has no
// routed groups. The result includes "trained" only if the transformer has routers.
Calibration calibrate(Models& models, const std::vector<Script>& scripts, const CalibrationConfig& config);

// The command's default: a few videos of two shots, of this size and length in pixel frames.
std::vector<Script> calibration_scripts(PixelSize size, int64_t frames, const Strides& pixels_per_token);

// A copy of the model folder `from` as `to`, which must not exist: config.json with `settings` and kind "moga", the
// calibrated routers among the weights of the transformer or of both experts, everything else unchanged.
void write_calibrated(const std::filesystem::path& from, const std::filesystem::path& to,
                      const std::vector<std::string>& settings, const Calibration& calibration);

// The same as an adapter for models of the same names and shapes: routers and attention (model/adapter/moga_adapter.h).
void write_calibrated_adapter(const std::filesystem::path& from, const std::filesystem::path& file,
                              const std::vector<std::string>& settings, const Calibration& calibration);

// For people, and as JSON.
std::string calibration_table(const Calibration& calibration);
std::string calibration_json(const Calibration& calibration, const CalibrationConfig& config);

}  // namespace moga
