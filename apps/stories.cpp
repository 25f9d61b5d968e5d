// moga stories: writes stories of the procedural world as files.
#include <iostream>
#include <limits>
#include <memory>

#include "apps/commands.h"
#include "moga/core/check.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/pipeline/story_files.h"

namespace moga {
namespace {

struct Options {
  StoryConfig story;
  int64_t count = 1, seed = 0;
  std::string out;
  bool images = false, quiet = false;
};

void run(const Options& options) {
  set_quiet(options.quiet);
  options.story.validate();
  check(options.count >= 1, "--count is ", options.count, ", expected at least 1");
  const int64_t last = std::numeric_limits<int64_t>::max() - options.count;
  check(options.seed >= 0 && options.seed <= last, "--seed is ", options.seed, ", expected 0 to ", last);
  Progress progress("stories", options.count, "story");
  for (int64_t i = 0; i < options.count; ++i) {
    stop_if_interrupted();
    const Story story = plan_story(static_cast<uint64_t>(options.seed + i), options.story);
    const StoryFiles files = write_story(story, options.out, options.images);
    progress.advance();
    std::cout << files.video.string() << "  " << files.sheet.filename().string() << "  "
              << files.script.filename().string() << std::endl;
  }
}

}  // namespace

void add_stories(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("stories", "Draw stories of the procedural world: video, contact sheet, script");
  command->footer(R"(A story is ground truth of the kind that the demo model was trained on: persons whose looks
are mentioned only in the caption of the shot in which they first appear. Its script (.toml)
can be given to `moga generate`. With --images the first frame of each shot is written as well, and the
script gives it as the shot's image, for image-to-video models.

Example:
  moga stories --count 8 --out out/stories
  moga stories --count 1 --seed 42 --frames 257 --shots 6 --out out/long)");
  command->add_option("--out", options->out, "folder to write to")->required();
  command->add_option("--count", options->count, "stories")->capture_default_str();
  command->add_option("--seed", options->seed, "seed of the first story; the following stories use the next seeds")
      ->capture_default_str();
  command->add_option("--width", options->story.width, "pixels")->capture_default_str();
  command->add_option("--height", options->story.height, "pixels")->capture_default_str();
  command->add_option("--frames", options->story.frames, "pixel frames, 1 + 4k")->capture_default_str();
  command->add_option("--persons", options->story.max_persons, "largest number of persons in a story")
      ->capture_default_str();
  command
      ->add_option_function<int64_t>(
          "--shots", [options](int64_t shots) { options->story.min_shots = options->story.max_shots = shots; },
          "shots per story")
      ->default_str(std::to_string(options->story.min_shots));
  command->add_flag("--images", options->images,
                    "also write the first frame of each shot, which the script gives as the image of the shot");
  command->add_flag("--quiet", options->quiet, "print only results and errors");
  command->callback([options] { run(*options); });
}

}  // namespace moga
