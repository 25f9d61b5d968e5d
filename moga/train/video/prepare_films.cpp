// The stages of `moga prepare videos`, one after the other. See prepare_films.h.
#include "moga/train/video/prepare_films.h"

#include <filesystem>
#include <iostream>
#include <numeric>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/log.h"
#include "moga/data/films/shots.h"
#include "moga/data/films/stages.h"
#include "moga/model/registry.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

void check_settings(const FilmsConfig& config, bool encodes) {
  check(!config.out.empty(), "out is empty, expected a folder for the manifests and shards");
  check(!config.input.empty(), "input is empty, expected a folder of films or a list of them");
  check(!encodes || !config.encode.vae.empty(), "encode.vae is empty, expected a VAE folder");
}

// Pixels of a token: the codec's strides times the patch of the model in the same folder, where there is one, else of
// the first family's.
Strides pixels_per_token(const FilmEncodeConfig& encode) {
  const fs::path vae = encode.vae, model = fs::absolute(vae / "..").lexically_normal() / "transformer/config.json";
  const Strides strides = load_codec_config(vae / "config.json")->strides();
  if (fs::exists(model)) return strides * load_video_model_config(model)->patch();
  return strides * default_video_model()->patch();
}

// The config with the sizes that its models can be trained at.
FilmsConfig with_sizes(FilmsConfig config) {
  if (config.encode.vae.empty()) return config;
  const Strides token = pixels_per_token(config.encode);
  if (config.merge.multiple == 0) config.merge.multiple = std::lcm(token.rows, token.columns);
  check(token.divide(config.merge.multiple, config.merge.multiple), "merge.multiple is ", config.merge.multiple,
        ", the models of ", config.encode.vae, " need ", token.multiples());
  config.merge.validate();
  return config;
}

// What the stages have found so far.
struct Found {
  std::vector<Record> films, cuts, scores, crops, captions, samples, encoded;

  // The lines of cut.jsonl with what later stages added.
  std::vector<Record> shots() const { return join_shots(join_shots(join_shots(cuts, scores), crops), captions); }
};

bool has_lines(const FilmsConfig& config, FilmStage stage) {
  return fs::exists(fs::path(config.out) / (std::string(name_of(stage)) + ".jsonl"));
}

// Captions of an earlier run count without an endpoint too, and encode need not have run.
bool is_used(const FilmsConfig& config, FilmStage stage) {
  if (stage == FilmStage::kScore) return config.score.enabled;
  if (stage == FilmStage::kCrop) return config.crop.enabled;
  if (stage == FilmStage::kCaption) return !config.caption.endpoint.empty() || has_lines(config, stage);
  if (stage == FilmStage::kEncode) return has_lines(config, stage);
  return true;
}

std::vector<Record>& lines_of(Found& found, FilmStage stage) {
  switch (stage) {
    case FilmStage::kProbe:
      return found.films;
    case FilmStage::kCut:
      return found.cuts;
    case FilmStage::kScore:
      return found.scores;
    case FilmStage::kCrop:
      return found.crops;
    case FilmStage::kCaption:
      return found.captions;
    case FilmStage::kMerge:
      return found.samples;
    default:
      return found.encoded;
  }
}

// Runs a stage on what those before it have found.
void run_stage(const FilmsConfig& config, FilmStage stage, Found& found) {
  switch (stage) {
    case FilmStage::kProbe:
      found.films = probe_films(config);
      break;
    case FilmStage::kCut:
      found.cuts = cut_films(config, found.films);
      break;
    case FilmStage::kScore:
      found.scores = score_films(config, found.films, found.shots());
      break;
    case FilmStage::kCrop:
      found.crops = crop_films(config, found.films, found.shots());
      break;
    case FilmStage::kCaption:
      if (config.caption.endpoint.empty() && is_used(config, stage))
        found.captions = stage_records(config, stage);
      else
        found.captions = caption_films(config, found.films, found.shots());
      break;
    case FilmStage::kMerge:
      found.samples = merge_films(config, with_global_captions(found.films, found.captions), found.shots());
      break;
    case FilmStage::kEncode:
      found.encoded = encode_films(config, found.samples);
      break;
    case FilmStage::kReport:
      write_report(config, found.films, found.cuts, found.scores, found.samples, found.encoded);
      break;
  }
}

void print_table(const Found& found) {
  std::cout << films_table(found.films, found.shots(), found.samples) << std::flush;
}

void run_one(const FilmsConfig& config, FilmStage stage) {
  Found found;
  for (const auto& earlier : kChoices<FilmStage>) {
    if (earlier.value == stage) break;
    if (is_used(config, earlier.value)) lines_of(found, earlier.value) = stage_records(config, earlier.value);
  }
  run_stage(config, stage, found);
  if (stage != FilmStage::kEncode && stage != FilmStage::kReport) print_table(found);
}

}  // namespace

void prepare_films(const FilmsConfig& given, const FilmsRun& run) {
  check_settings(given, !run.dry_run && run.stage.value_or(FilmStage::kEncode) == FilmStage::kEncode);
  const FilmsConfig config = with_sizes(given);
  make_folder(config.out);
  write_text(fs::path(config.out) / "prepare.toml", to_toml(given));
  if (run.stage) return run_one(config, *run.stage);
  Found found;
  for (const auto& stage : kChoices<FilmStage>) {
    if (stage.value == FilmStage::kEncode) {
      print_table(found);
      if (run.dry_run) continue;
    }
    run_stage(config, stage.value, found);
  }
}

}  // namespace moga
