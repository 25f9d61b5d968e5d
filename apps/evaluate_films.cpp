// moga evaluate films: VBench's, MoGA's and HoloCine's measures of films.
#include "apps/evaluate_films.h"

#include <iostream>
#include <memory>

#include "moga/core/json_text.h"
#include "moga/core/log.h"
#include "moga/evaluate/evaluate_films.h"
#include "moga/evaluate/film_report.h"

namespace moga {
namespace {

constexpr const char* kManual =
    R"(Measures films of any program, each frame of them:
  subject     VBench's subject consistency (DINO ViT-B/16), and the same within each shot
  backgrnd    VBench's background consistency (CLIP ViT-B/32), and the same within each shot
  aesth.      VBench's aesthetic quality (CLIP ViT-L/14 and LAION's linear head)
  x-CLIP      similarity of frames of different shots by CLIP ViT-B/32
  x-DINO      the same by DINOv2
  text        similarity of the frames of a shot and its caption by CLIP ViT-B/32
  SCA, dev.   HoloCine's shot cut accuracy, and the mean deviation of a cut in frames
VBench's motion smoothness and imaging quality are not computed.

Below each film are the same numbers for copies of its first frame, and for its shots in another
order (captions: those of the other shots): a still picture is perfectly consistent.

The models are folders of DIR as Hugging Face has them; those that are missing are named with
where to get them, and the rest is computed. docs/evaluate.md says what each measure is.

FILM is a film, a folder of films (with captions in NAME.txt), or a list that `moga prepare videos`
reads: .json, .jsonl, .csv, .toml. Captions and cuts come from --script, from the list, or from the
script that `moga generate` leaves in its films. Without them shots are those that are found.

Example:
  moga evaluate films out/story.mp4
  moga evaluate films out/a.mp4 out/b.mp4 --script a.toml --script b.toml --out out/numbers
  moga evaluate films films.json --models models/evaluation --cut-weights transnetv2.safetensors)";

struct Options {
  FilmsEvaluationConfig config;
  bool quiet = false;
};

void run(Options options) {
  set_quiet(options.quiet);
  FilmsEvaluationConfig& config = options.config;
  if (!config.cut.weights.empty()) config.cut.method = CutMethod::kTransNet;
  config.cut.device = config.device;
  const FilmsEvaluation evaluation = evaluate_films(config);
  std::cout << printable(film_table(evaluation));
  for (const std::string& line : evaluation.missing) std::cout << printable(line) << "\n";
  if (!config.out.empty()) std::cout << "results  " << config.out << "/films.json, films.csv\n";
  std::cout << std::flush;
}

}  // namespace

void add_evaluate_films(CLI::App& evaluate) {
  const auto options = std::make_shared<Options>();
  FilmsEvaluationConfig& config = options->config;
  CLI::App* command = evaluate.add_subcommand("films", "Consistency, quality, text and cuts of films of any program");
  command->footer(kManual);
  command->add_option("FILM", config.films, "films, folders or lists of films")->required();
  command->add_option("--script", config.scripts, "shot script of all films, or one for each film in order")
      ->allow_extra_args(false);
  command->add_option("--models", config.models, "folder of the models that measure")->capture_default_str();
  command->add_option("--out", config.out, "folder to write films.json and films.csv to");
  command->add_option("--cut-weights", config.cut.weights,
                      "find cuts with TransNetV2: a file made by tools/convert_transnetv2.py");
  command->add_option("--shot-frames", config.shot_samples, "frames of each shot that x-CLIP and x-DINO compare")
      ->capture_default_str();
  command->add_option("--batch", config.batch, "frames evaluated together")->capture_default_str();
  command->add_option("--device", config.device, "auto, cpu, cuda, cuda:1")->capture_default_str();
  command->add_flag("--quiet", options->quiet, "no log and no progress");
  command->callback([options] { run(*options); });
}

}  // namespace moga
