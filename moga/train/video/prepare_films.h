// A folder of films → samples → latent shards: the stages of moga/data/films, and the one that encodes.
#pragma once

#include <optional>

#include "moga/data/films/config.h"
#include "moga/data/films/manifest.h"

namespace moga {

struct FilmsRun {
  std::optional<FilmStage> stage;  // only this one, from the manifest of the one before; none: all
  bool dry_run = false;            // all but encode
};

// Runs the stages and prints the table of films. Throws Interrupted when a signal arrives: the next run continues.
void prepare_films(const FilmsConfig& config, const FilmsRun& run);

// Stage encode: the samples of merge.jsonl as latents, and text embeddings where there is a text encoder, in shards/
// and held_out/ under config.out; encode.jsonl says where each sample is. Shards that are already right are kept. A
// folder appears under its name when it is complete.
std::vector<Record> encode_films(const FilmsConfig& config, const std::vector<Record>& samples);

}  // namespace moga
