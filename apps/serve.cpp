// moga serve: an HTTP server that generates films from scripts, one after the other.
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/plan_request.h"
#include "moga/core/json_text.h"
#include "moga/serve/serve.h"

namespace moga {
namespace {

constexpr const char* kManual =
    R"(Serves one model to a small team: films are submitted, wait in a queue, and are generated one after the
other. The page at http://HOST:PORT/ writes scripts and shows films as they appear. The interface is that
of OpenAI's videos, with shot scripts besides prompts:

  POST   /v1/videos              {"prompt": "…", "seconds": 4, "size": "832x480"}, or a script: the keys of
                                 its TOML file as JSON, images as data URLs
  GET    /v1/videos, /v1/videos/ID       all jobs, one job
  GET    /v1/videos/ID/events    server-sent events: progress, previews, the end
  GET    /v1/videos/ID/content   the MP4; ?variant=spritesheet: its contact sheet
  DELETE /v1/videos/ID           cancels a job that waits or runs, removes one that ended
  GET    /health, /metrics

docs/serve.md has examples with curl.

Options of the model and --set are defaults, which a script's own settings override.

Jobs and films are folders in --out. A job that ran when the program ended, in whatever way, continues
from its last kept step at the next start. Of the jobs that ended, the newest --keep stay.

Ctrl-C or SIGTERM ends the server: the running job keeps its steps. A second one ends it at once.

Without a token only programs of this machine can use the server, and no web pages but its own. To serve
others give a --host and a --token-file, and put a proxy with TLS in front of it.

Example:
  moga serve --model models/demo
  moga serve --model Wan2.1-T2V-1.3B-Diffusers --out films --steps 30 --keep-loaded
  moga serve --model wan-moga --host 0.0.0.0 --token-file token.txt)";

struct Options {
  ModelOptions model;
  StreamOptions streaming;
  ServeConfig serve;
  bool keep_loaded = false, no_plan = false;
  double keep_every = 60;
};

// The options without settings, which come from the server instead.
ModelOptions without_settings(ModelOptions options) {
  options.attention.clear();
  options.full_layers.clear();
  options.settings.clear();
  options.solver.reset();
  for (auto* number : {&options.steps, &options.full_steps}) number->reset();
  for (auto* number : {&options.shift, &options.guidance, &options.guidance_2}) number->reset();
  return options;
}

// On a GPU a run that cannot fit is refused before any weight is read.
Models load(const Options& options, const ModelConfigs& configs, Script script,
            const std::vector<std::string>& settings) {
  const ModelOptions model = without_settings(options.model);
  const at::Device device = model.place();
  LoadWays ways{.stream_weights = options.streaming.chosen(device) == StreamWeights::always};
  if (device.is_cuda() && !options.no_plan) {
    script.set = settings;
    const Plan plan = plan_generation(plan_request(configs, model, options.streaming, script, "request"), device,
                                      model.compute_dtype());
    check_fits(plan);
    ways.stream_weights = plan.stream_weights;
    ways.rest_experts = plan.rest_experts;
  }
  return model.load(settings, ways);
}

void run(const Options& options) {
  set_quiet(options.model.quiet);
  check_serve(options.serve);
  check(missing_parts(options.model.folder).empty(), printable(options.model.folder),
        ": not a complete model folder; `moga info ", printable(options.model.folder), "` says what is missing");
  ServedModel model;
  model.folder = options.model.folder;
  model.configs = load_model_configs(model.folder);
  model.name =
      std::filesystem::absolute(std::filesystem::path(options.model.folder) / "").parent_path().filename().string();
  model.tool = "moga " MOGA_VERSION;
  model.settings = options.model.all_settings();
  model.load = [options, configs = model.configs](const Script& script, const std::vector<std::string>& settings) {
    return load(options, configs, script, settings);
  };
  model.keep_loaded = options.keep_loaded;
  model.keep_every = options.keep_every;
  const std::string name = model.name;
  serve(options.serve, std::move(model),
        [&](const std::string& url) { std::cout << "serves " << printable(name) << " at " << url << std::endl; });
}

}  // namespace

void add_serve(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("serve", "Generate films for a team, over HTTP and from a page");
  command->footer(kManual);
  ServeConfig& serve = options->serve;
  command->add_option("--host", serve.host, "address to listen on; others than this machine's need --token-file")
      ->capture_default_str();
  command->add_option("--port", serve.port, "port to listen on, 0: any that is free")->capture_default_str();
  command->add_option("--token-file", serve.token_file, "file with a token, which every request must then give");
  command->add_option("--out", serve.folder, "folder for jobs and films")->capture_default_str();
  command->add_option("--queue", serve.limits.waiting, "most jobs that wait or run")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--keep", serve.limits.kept, "jobs that ended and stay, the newest")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--most-tokens", serve.most_tokens, "longest film, in latent tokens (832x480: 1,560 a latent frame)")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_flag("--keep-loaded", options->keep_loaded,
                    "keep all weights in memory between jobs (default: each part is released once it is not needed)");
  command->add_option("--keep-every", options->keep_every, "seconds of denoising between two writes of a job's state")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--no-plan", options->no_plan, "start jobs without rehearsing whether they fit (on a GPU)");
  options->model.add(*command);
  options->model.add_adapter(*command);
  options->streaming.add(*command);
  command->callback([options] { run(*options); });
}

}  // namespace moga
