// moga inspect: shows what a model's routers do, as a page, pictures and numbers.
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/model_options.h"
#include "apps/plan_request.h"
#include "apps/script_options.h"
#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/pipeline/inspect_files.h"
#include "moga/pipeline/inspect_film.h"
#include "moga/pipeline/inspect_report.h"

namespace moga {
namespace {

constexpr const char* kManual =
    R"(Generates the script's film and records, in some sampler steps, to which group each token is routed.
Writes to the new folder DIR:

  index.html     maps of groups, gate and entropy over the film, by step and layer; the keys that a
                 clicked token attends to; which shots share groups. Opens from disk, without network
  sheets/        a picture for each step and layer, one row per shot
  inspect.json   the numbers

With --story SEED a drawn story is encoded and noised to some timesteps instead, and evaluated once
at each; groups are compared with the story's exact masks. With --video FILE a film of yours is, with
the shots, captions, size and rate of SCRIPT.

The table has, for each layer, means over the observed steps: the largest group, the cost of routed
attention compared with that of even groups, the balance loss without its weight (1: balanced), the
entropy of the router (0: certain, 1: undecided), the gate, the agreement with the layer and with the
step before (adjusted Rand index: 1 equal, 0 chance), and the pairs of tokens of two shots that are in
the same group. A router that has collapsed is named. docs/inspect.md explains all of it.

Maps are kept for as many latent frames as --map-tokens allows; the numbers always count all tokens.

Example:
  moga inspect examples/mara_by_the_lake.toml --model models/demo --out out/routing
  moga inspect film.toml --model wan-moga --out out/routing --layers 0,10,20 --at-steps 5,25,45
  moga inspect --story 7 --model models/demo --out out/story-routing
  moga inspect film.toml --video film.mp4 --model models/demo --out out/film-routing --timesteps 800,400)";

struct Options {
  ScriptOptions script;
  ModelOptions model;
  InspectConfig inspect;
  std::optional<int64_t> story, frames;
  std::string video, out;

  bool noised() const { return story || !video.empty(); }
};

// Nothing given is ignored: settings of a generation have no meaning for a noised film, and the other way round.
void check_options(const Options& options) {
  const ModelOptions& model = options.model;
  const ScriptOptions& script = options.script;
  check(!script.file.empty() || options.story, "give a SCRIPT, or --story SEED",
        options.video.empty() ? "" : "; --video takes its shots and captions from a SCRIPT");
  if (!options.noised()) {
    check(options.inspect.timesteps.empty(), "--timesteps is for --story and --video; a generation has --at-steps");
    check(!options.frames, "--frames is for --story; a script has its own");
    return;
  }
  check(options.inspect.at_steps.empty(), "--at-steps is for a generation; --story and --video have --timesteps");
  check(
      !model.solver && !model.steps && !model.shift && !model.guidance && !model.guidance_2 && !model.full_steps,
      "--solver, --steps, --shift, --guidance and --full-steps are for a generation; --story and --video evaluate the "
      "model once at each of --timesteps, with captions alone");
  for (const std::string& setting : model.settings)
    check(!setting.starts_with("sampler."), "--set ", setting, " is for a generation");
  check(!script.negative_prompt && script.negative.empty(), "a negative prompt is for a generation");
  check(!options.story || script.file.empty(), "--story has a script of its own, expected no SCRIPT");
  check(!options.story || !script.seed, "--story SEED is also the seed of the noise, expected no --seed");
  check(options.story || !options.frames, "--frames is for --story; a script has its own");
}

Story story_of(const Options& options) {
  StoryConfig config;
  if (!options.script.size.empty()) std::tie(config.width, config.height) = parse_pair(options.script.size, "--size");
  if (options.frames) config.frames = *options.frames;
  check(*options.story >= 0, "--story is ", *options.story, ", expected 0 or more");
  return plan_story(static_cast<uint64_t>(*options.story), config);
}

std::string model_name(const ModelOptions& model) {
  return std::filesystem::absolute(std::filesystem::path(model.folder) / "").parent_path().filename().string();
}

Inspection inspect(const Options& options) {
  const std::optional<ModelConfigs> configs = options.model.configs();
  const Strides pixels = configs ? configs->pixels_per_token() : kWanPixelsPerToken;
  std::optional<Story> story;
  Script script;
  at::Tensor frames;
  if (options.story) story = story_of(options);
  if (!options.story) script = options.script.load(options.model.folder, pixels);
  InspectConfig config = options.inspect;
  if (configs) {  // what is wrong is said before weights are loaded
    const ModelConfigs set = with_settings(*configs, options.model, script, options.script.file);
    config.sampler = set.sampler;
    check_inspection(set, config, options.noised());
  }
  if (!options.video.empty()) frames = film_frames(options.video, script, pixels);
  if (const std::string note = script.shot.empty() ? "" : script.frame_note(pixels); !note.empty()) log_info(note);
  Models models = options.model.load(options.model.all_settings(script.set));
  config.sampler = models.sampler;
  if (story) return inspect_story(*story, std::move(models), config);
  if (frames.defined()) return inspect_frames(frames, script, std::move(models), config);
  return inspect_script(script, std::move(models), config);
}

void run(const Options& options) {
  set_quiet(options.model.quiet);
  check_options(options);
  check_new_folder(options.out);
  Inspection inspection = inspect(options);
  inspection.model = model_name(options.model);
  write_inspection(options.out, inspection);
  std::cout << inspection_table(inspection);
  for (const std::string& finding : inspection_findings(inspection)) std::cout << finding << "\n";
  std::cout << "page           " << printable(options.out) << "/index.html" << std::endl;
}

}  // namespace

void add_inspect(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("inspect", "Show what a model's routers do: maps, keys, numbers");
  command->footer(kManual);
  options->script.add(*command);
  command->add_option("--out", options->out, "folder to write, must not exist")->required();
  command->add_option("--layers", options->inspect.layers, "layers to record, like 0,3,7 (default: all with a router)")
      ->delimiter(',')
      ->allow_extra_args(false);
  command
      ->add_option("--at-steps", options->inspect.at_steps,
                   "sampler steps to record, from 1, like 1,10,20 (default: 4, evenly spaced)")
      ->delimiter(',')
      ->allow_extra_args(false);
  auto* story = command->add_option("--story", options->story, "inspect the drawn story of this seed, noised");
  command->add_option("--video", options->video, "inspect this film, noised")->excludes(story);
  command
      ->add_option("--timesteps", options->inspect.timesteps,
                   "timesteps up to 1000 to which --story and --video are noised (default: 900,600,300,100)")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--frames", options->frames, "pixel frames, 1 + 4k, of --story (default: 129)");
  command->add_option("--map-tokens", options->inspect.map_tokens, "most tokens in all maps together, 3 bytes each")
      ->capture_default_str();
  options->model.add(*command);
  options->model.add_adapter(*command);
  command->callback([options] { run(*options); });
}

}  // namespace moga
