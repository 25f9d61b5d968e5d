// moga evaluate: stories here, the accuracy of colours in shots whose captions do not mention them, and films
// (evaluate_films.cpp).
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/evaluate_films.h"
#include "apps/model_options.h"
#include "apps/ranks.h"
#include "moga/core/config.h"
#include "moga/parallel/agree.h"
#include "moga/parallel/connect.h"
#include "moga/pipeline/evaluate.h"

namespace moga {
namespace {

constexpr const char* kManual =
    R"(Generates held-out stories from their captions. A person's hat and shirt are mentioned only in
the shot that introduces the person; in all other shots their colours must come through attention
between shots. The colours are read from the generated frames at the positions given by the
story's geometry, and compared with the story. Chance is 12.5 %. An image-to-video model is also
given the first frame of each shot, as rendered from the story.

Writes evaluation.json (every reading) and stories.png (generated above original) to DIR.

With --gpus N each GPU evaluates batches of its own; the readings are those of one GPU.

Example:
  moga evaluate stories --model models/demo --stories 64 --out out/evaluation
  moga evaluate stories --model models/demo --stories 64 --out out/evaluation --gpus 8)";

struct Options {
  ModelOptions model;
  StoryEvaluationConfig evaluation;
  std::string out;
  int64_t gpus = 1;
};

// Every rank loads the model and evaluates some of the stories.
void run(Options options) {
  set_quiet(options.model.quiet);
  const World world = join_world(options.model.device);
  if (world.several()) options.model.device = world.device.str();
  options.model.quiet = options.model.quiet || !world.first();
  Models models = options.model.load();
  StoryEvaluationConfig config = options.evaluation;
  config.sampler = models.sampler;
  agree(world.ranks, {{"evaluation", to_json(config)}, {"version", MOGA_VERSION}});
  const StoryEvaluation evaluation = evaluate_stories(models, config, options.out, world.ranks);
  leave(world.ranks);
  if (!world.first()) return;
  std::cout << score_table(evaluation) << "\n"
            << "readings       " << options.out << "/evaluation.json\n"
            << "contact sheet  " << options.out << "/stories.png\n"
            << "seconds        " << static_cast<int64_t>(evaluation.seconds) << std::endl;
}

}  // namespace

void add_evaluate(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* evaluate = app.add_subcommand("evaluate", "Measure what a model can do, and films of any program");
  evaluate->require_subcommand(1);
  add_evaluate_films(*evaluate);
  CLI::App* command =
      evaluate->add_subcommand("stories", "Accuracy of colours that only attention between shots can carry");
  command->footer(kManual);
  StoryEvaluationConfig& config = options->evaluation;
  options->model.add(*command);
  options->model.add_adapter(*command);
  command->add_option("--out", options->out, "folder to write to")->required();
  command->add_option("--stories", config.stories, "held-out stories")->capture_default_str();
  command->add_option("--first-seed", config.first_seed, "seed of the first story")->capture_default_str();
  command->add_option("--batch", config.batch, "stories denoised together")->capture_default_str();
  command->add_option("--width", config.story.width, "pixels")->capture_default_str();
  command->add_option("--height", config.story.height, "pixels")->capture_default_str();
  command->add_option("--frames", config.story.frames, "pixel frames per story, 1 + 4k")->capture_default_str();
  command
      ->add_option_function<int64_t>(
          "--shots", [&config](int64_t shots) { config.story.min_shots = config.story.max_shots = shots; },
          "shots per story")
      ->default_str(std::to_string(config.story.max_shots));
  add_gpus_option(*command, options->gpus);
  command->callback([options] {
    if (!run_as_ranks(options->gpus)) run(*options);
  });
}

}  // namespace moga
