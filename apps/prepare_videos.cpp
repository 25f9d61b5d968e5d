// moga prepare videos: films on disk → latent shards, stage by stage.
#include <memory>
#include <optional>

#include "apps/prepare_videos.h"
#include "moga/core/config.h"
#include "moga/core/log.h"
#include "moga/train/video/prepare_films.h"

namespace moga {
namespace {

struct Options {
  std::string config, stage;
  std::vector<std::string> settings;
  bool dry_run = false, quiet = false;
};

void run(const Options& options) {
  set_quiet(options.quiet);
  FilmsConfig config = load_toml<FilmsConfig>(options.config);
  apply_overrides(config, options.settings);
  FilmsRun run;
  run.dry_run = options.dry_run;
  if (!options.stage.empty()) run.stage = choice<FilmStage>("--stage", options.stage);
  prepare_films(config, run);
}

}  // namespace

void add_prepare_videos(CLI::App& prepare) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = prepare.add_subcommand("videos", "Cut, size and encode films into latent shards");
  command->add_option("CONFIG", options->config, "config (TOML)")->required();
  command->add_option("--stage", options->stage, "run only this stage: " + choice_help<FilmStage>());
  command->add_flag("--dry-run", options->dry_run,
                    "all but encode: prints what each file would give, and why not more");
  command->add_option("--set", options->settings, "override a key of the config, e.g. merge.max_seconds=30")
      ->allow_extra_args(false);
  command->add_flag("--quiet", options->quiet, "print only results and errors");
  command->footer(
      R"(The stages leave manifests in the folder "out", one line of JSON per film, shot or sample, with every
decision, its number and its threshold. They may be edited: a line's "dropped" keeps it out, and a
stage keeps its lines as long as its settings and its input are the same. After an interruption the
same command continues. report.html shows all samples with thumbnails, captions, scores and reasons.

Input: a folder of films with captions in NAME.txt, or a list: .json (FastVideo, LightX2V, HoloCine,
EchoShot), .jsonl and .toml (musubi-tuner, diffusion-pipe), .csv (DiffSynth).

Example:
  moga prepare videos configs/videos.toml --set input=films --set out=data/films --dry-run
  moga prepare videos configs/videos.toml --set input=films --set out=data/films
  moga prepare videos configs/videos.toml --set input=films --set out=data/films --stage merge
  moga prepare videos configs/videos.toml --set input=films --set out=data/films --set caption.endpoint=http://localhost:8000/v1 --set caption.prompt=configs/caption_prompt.txt)");
  command->callback([options] { run(*options); });
}

}  // namespace moga
