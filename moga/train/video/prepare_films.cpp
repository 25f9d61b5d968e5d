// The stages of `moga prepare videos`, one after the other. See prepare_films.h.
#include "moga/train/video/prepare_films.h"

#include <filesystem>
#include <iostream>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/log.h"
#include "moga/data/films/stages.h"

namespace moga {
namespace {

void check_settings(const FilmsConfig& config, bool encodes) {
  check(!config.out.empty(), "out is empty, expected a folder for the manifests and shards");
  check(!config.input.empty(), "input is empty, expected a folder of films or a list of them");
  check(!encodes || !config.encode.vae.empty(), "encode.vae is empty, expected a VAE folder");
}

void run_one(const FilmsConfig& config, FilmStage stage) {
  std::vector<Record> films, shots, samples;
  if (stage == FilmStage::kProbe) films = probe_films(config);
  if (stage == FilmStage::kCut) {
    films = stage_records(config, FilmStage::kProbe);
    shots = cut_films(config, films);
  }
  if (stage == FilmStage::kMerge) {
    films = stage_records(config, FilmStage::kProbe);
    shots = stage_records(config, FilmStage::kCut);
    samples = merge_films(config, films, shots);
  }
  if (stage == FilmStage::kEncode) {
    encode_films(config, stage_records(config, FilmStage::kMerge));
    return;
  }
  std::cout << films_table(films, shots, samples) << std::flush;
}

}  // namespace

void prepare_films(const FilmsConfig& config, const FilmsRun& run) {
  check_settings(config, !run.dry_run && run.stage.value_or(FilmStage::kEncode) == FilmStage::kEncode);
  make_folder(config.out);
  write_text(std::filesystem::path(config.out) / "prepare.toml", to_toml(config));
  if (run.stage) return run_one(config, *run.stage);
  const std::vector<Record> films = probe_films(config), shots = cut_films(config, films),
                            samples = merge_films(config, films, shots);
  std::cout << films_table(films, shots, samples) << std::flush;
  if (!run.dry_run) encode_films(config, samples);
}

}  // namespace moga
