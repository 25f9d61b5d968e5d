// moga calibrate: computes routers for a model that has none.
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/model_options.h"
#include "apps/size_options.h"
#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/pipeline/calibrate.h"
#include "moga/pipeline/model_size.h"

namespace moga {
namespace {

constexpr const char* kManual =
    R"(A few videos are denoised, with full attention where the model has no routers. Three candidate
routers per layer are computed from the blocks' inputs at several steps: balanced k-means of the
tokens (tokens); k-means in which tokens are close if they attend to each other (attention); and
groups that are representative samples of all tokens (spread), which suit layers that average over
many tokens. Each layer gets the one whose attention is closest to full attention. The model with
its routers is written to the folder DIR, which `moga generate` reads, or the routers alone to an
adapter FILE, which `moga generate --adapter` adds to any model of the same shape. --set
transformer.moga.KEY=VALUE sets groups, windows, gate and layers that keep full attention (a
script's own settings are ignored).

The table compares routers layer by layer on different noise: the smallest and the largest group
as a fraction of the tokens, the balance loss over its weight (1: balanced), the mean of the gate, and the
relative error of MoGA's attention output compared with full attention, with branches combined
by their mean and by lse. "random" routers are those that training starts from; "trained" are the
model's own, if it has any.

Example:
  moga calibrate --model models/Wan2.1-T2V-1.3B-Diffusers --out models/wan-moga \
    --steps 10 --set transformer.moga.combine=lse
  moga calibrate --model models/Wan2.1-T2V-1.3B-Diffusers --adapter moga.safetensors
  moga calibrate --model models/demo --script examples/mara_by_the_lake.toml --out out/calibrated --json out/table.json)";

struct Options {
  ModelOptions model;
  CalibrationConfig calibration;
  std::vector<std::string> scripts;
  std::string out, adapter, json, size;
  int64_t frames = 81;
};

std::vector<Script> scripts_of(const Options& options, const Strides& pixels_per_token) {
  std::vector<Script> scripts;
  for (const std::string& path : options.scripts) scripts.push_back(load_script(path, pixels_per_token));
  if (!scripts.empty()) return scripts;
  PixelSize size{832, 480};
  if (const auto own = model_size(options.model.folder)) size = {own->at(0), own->at(1)};
  if (!options.size.empty()) std::tie(size.width, size.height) = parse_pair(options.size, "--size");
  return calibration_scripts(size, options.frames, pixels_per_token);
}

void run(const Options& options) {
  const std::optional<ModelConfigs> configs = options.model.configs();
  const std::vector<Script> scripts = scripts_of(options, configs ? configs->pixels_per_token() : kWanPixelsPerToken);
  check(!options.out.empty() || !options.adapter.empty(), "give --out DIR or --adapter FILE");
  if (!options.out.empty()) check_new_folder(options.out);
  if (!options.adapter.empty()) check_writable(options.adapter);
  check(options.adapter.empty() || !configs || !configs->transformer_2, "--adapter: ", options.model.folder,
        " has two experts, and an adapter holds the routers of one; use --out DIR");
  const std::vector<std::string> settings = options.model.all_settings();
  Models models = options.model.load(calibration_settings(options.model.folder, settings));
  CalibrationConfig config = options.calibration;
  config.sampler = models.sampler;
  const Calibration calibration = calibrate(models, scripts, config);
  if (!options.json.empty()) write_text(options.json, calibration_json(calibration, config));
  std::cout << calibration_table(calibration) << std::flush;
  if (!options.out.empty()) {
    write_calibrated(options.model.folder, options.out, settings, calibration);
    std::cout << "model          " << options.out << "\n";
  }
  if (!options.adapter.empty()) {
    write_calibrated_adapter(options.model.folder, options.adapter, settings, calibration);
    std::cout << "adapter        " << options.adapter << "\n";
  }
  std::cout << "seconds        " << static_cast<int64_t>(calibration.seconds) << std::endl;
}

}  // namespace

void add_calibrate(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("calibrate", "Compute routers for a model that was trained without them");
  command->footer(kManual);
  CalibrationConfig& config = options->calibration;
  options->model.add(*command);
  command->add_option("--out", options->out, "model folder to write, must not exist");
  command->add_option("--adapter", options->adapter,
                      "MoGA adapter to write: the routers and the attention alone, for moga generate --adapter");
  command->add_option("--script", options->scripts, "shot script, may be given several times (default: built-in ones)")
      ->allow_extra_args(false);
  command->add_option("--size", options->size,
                      "width x height of the built-in scripts (default: the model's own, else 832x480)");
  command->add_option("--frames", options->frames, "pixel frames of the built-in scripts")->capture_default_str();
  command->add_option("--observed-steps", config.observed_steps, "sampler steps, evenly spaced, whose tokens are kept")
      ->capture_default_str();
  command->add_option("--tokens", config.tokens, "router inputs kept per layer")->capture_default_str();
  command
      ->add_option_function<std::string>(
          "--routers", [&config](const std::string& name) { config.routers = choice<RouterMethod>("--routers", name); },
          "candidates for the routers: " + choice_list<RouterMethod>())
      ->default_str(name_of(config.routers));
  command
      ->add_option_function<std::string>(
          "--metric", [&config](const std::string& name) { config.fit.metric = choice<FitMetric>("--metric", name); },
          "how groups are found: " + choice_list<FitMetric>())
      ->default_str(name_of(config.fit.metric));
  command->add_option("--confidence", config.fit.confidence, "mean of the gate over the tokens")->capture_default_str();
  command->add_option("--seed", config.fit.seed, "seed of the k-means")->capture_default_str();
  command->add_option("--json", options->json, "file to write as JSON");
  command->callback([options] { run(*options); });
}

}  // namespace moga
